#!/usr/bin/env bash
# Exchanges an API token for an access token, with curl.
#
#   TOKEN_ENDPOINT=https://id.example.com/oauth/token ACCOUNT_ID=acc_… API_TOKEN=csk_… ./api-token.sh
set -euo pipefail

# The secret reaches curl by its standard input, not by an argument that everybody on the machine can list.
curl -sS --fail-with-body "$TOKEN_ENDPOINT" -d grant_type=client_credentials --config - <<<"user = \"$ACCOUNT_ID:$API_TOKEN\""
