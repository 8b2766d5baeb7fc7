// Calls an API for a key file with golang.org/x/oauth2, the standard client of Go.
//
//	go run . key-file.json 'read write' https://api.example.com/
package main

import (
	"context"
	"io"
	"log"
	"os"
	"strings"

	"golang.org/x/oauth2/google"
)

func main() {
	log.SetFlags(0)
	keyFile, err := os.ReadFile(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	// Token endpoint and audience come from the key file.
	config, err := google.JWTConfigFromJSON(keyFile, strings.Fields(os.Args[2])...)
	if err != nil {
		log.Fatal(err)
	}
	// Gets a token, keeps it while it holds, and sends it.
	answer, err := config.Client(context.Background()).Get(os.Args[3])
	if err != nil {
		log.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != 200 {
		log.Fatalf("%s %s %v", answer.Status, body, err)
	}
	os.Stdout.Write(body)
}
