// Gets an access token for a key file with golang.org/x/oauth2, the standard client of Go.
//
//	go run . key-file.json 'read write'
package main

import (
	"context"
	"fmt"
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
	token, err := config.TokenSource(context.Background()).Token()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(token.AccessToken)
}
