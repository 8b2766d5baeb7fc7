// Gets an access token for a key file with nothing but the JDK (17 or later), and calls an API with it.
//
//   java Client.java key-file.json 'read write' https://api.example.com/
import static java.nio.charset.StandardCharsets.UTF_8;

import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyFactory;
import java.security.PrivateKey;
import java.security.Signature;
import java.security.spec.PKCS8EncodedKeySpec;
import java.time.Instant;
import java.util.Base64;
import java.util.UUID;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

class Client {
    static final HttpClient http = HttpClient.newHttpClient();

    public static void main(String[] args) throws Exception {
        String token = getToken(Files.readString(Path.of(args[0])), args[1]);
        HttpRequest call = HttpRequest.newBuilder(URI.create(args[2])).header("Authorization", "Bearer " + token).build();
        System.out.println(send(call));
    }

    static String getToken(String keyFile, String scope) throws Exception {
        String form = "grant_type=" + URLEncoder.encode("urn:ietf:params:oauth:grant-type:jwt-bearer", UTF_8)
            + "&assertion=" + sign(keyFile)
            + "&scope=" + URLEncoder.encode(scope, UTF_8);
        HttpRequest request = HttpRequest.newBuilder(URI.create(member(keyFile, "token_uri")))
            .header("Content-Type", "application/x-www-form-urlencoded")
            .POST(BodyPublishers.ofString(form))
            .build();
        return member(send(request), "access_token");
    }

    static String sign(String keyFile) throws Exception {
        long now = Instant.now().getEpochSecond();
        String header = "{\"alg\":\"RS256\",\"kid\":\"%s\"}".formatted(member(keyFile, "private_key_id"));
        String claims = "{\"iss\":\"%1$s\",\"sub\":\"%1$s\",\"aud\":\"%2$s\",\"iat\":%3$d,\"exp\":%4$d,\"jti\":\"%5$s\"}"
            .formatted(member(keyFile, "client_id"), member(keyFile, "issuer"), now, now + 60, UUID.randomUUID());
        String message = base64url(header.getBytes(UTF_8)) + "." + base64url(claims.getBytes(UTF_8));
        Signature signature = Signature.getInstance("SHA256withRSA");
        signature.initSign(privateKey(member(keyFile, "private_key")));
        signature.update(message.getBytes(UTF_8));
        return message + "." + base64url(signature.sign());
    }

    static PrivateKey privateKey(String pem) throws Exception {
        byte[] der = Base64.getMimeDecoder().decode(pem.replaceAll("-----[A-Z ]+-----", ""));
        return KeyFactory.getInstance("RSA").generatePrivate(new PKCS8EncodedKeySpec(der));
    }

    static String send(HttpRequest request) throws Exception {
        HttpResponse<String> answer = http.send(request, BodyHandlers.ofString());
        if (answer.statusCode() != 200) throw new IllegalStateException(answer.body());
        return answer.body();
    }

    static String base64url(byte[] bytes) {
        return Base64.getUrlEncoder().withoutPadding().encodeToString(bytes);
    }

    /** A text in flat JSON. Use your JSON library instead: the JDK has none. */
    static String member(String json, String name) {
        Matcher found = Pattern.compile("\"" + name + "\"\\s*:\\s*\"((?:[^\"\\\\]++|\\\\.)*+)\"").matcher(json);
        if (!found.find()) throw new IllegalArgumentException("there is no " + name);
        return found.group(1).replace("\\n", "\n");
    }
}
