#!/usr/bin/env bash
# Gets an access token with openssl and curl, and calls an API with it.
#
#   TOKEN_ENDPOINT=https://id.example.com/oauth/token ACCOUNT_ID=acc_… KEY_ID=key_… \
#     ./client.sh private-key.pem 'read write' https://api.example.com/
set -euo pipefail
pem=$1 scope=$2 api=$3

base64url() { openssl base64 -A | tr '+/' '-_' | tr -d '='; }
now=$(date +%s)
header=$(printf '{"alg":"RS256","kid":"%s"}' "$KEY_ID" | base64url)
claims=$(printf '{"iss":"%s","sub":"%s","aud":"%s","iat":%d,"exp":%d,"jti":"%s"}' "$ACCOUNT_ID" "$ACCOUNT_ID" \
  "$TOKEN_ENDPOINT" "$now" "$((now + 60))" "$(openssl rand -hex 16)" | base64url)
signature=$(printf '%s.%s' "$header" "$claims" | openssl dgst -sha256 -sign "$pem" | base64url)

# Assertion and token reach curl by files, not by arguments that everybody on the machine can list.
answer=$(curl -sS --fail-with-body "$TOKEN_ENDPOINT" \
  --data-urlencode grant_type=urn:ietf:params:oauth:grant-type:jwt-bearer \
  --data-urlencode assertion@<(printf '%s.%s.%s' "$header" "$claims" "$signature") \
  --data-urlencode "scope=$scope") || { echo "$answer" >&2; exit 1; }
token=$(sed -E 's/.*"access_token":"([^"]+)".*/\1/' <<<"$answer")

curl -sS --fail-with-body "$api" --header @<(printf 'Authorization: Bearer %s' "$token")
