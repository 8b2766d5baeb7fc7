"""Calls an API for a key file with google-auth, Google's client for Python.

    python3 client.py key-file.json 'read write' https://api.example.com/
"""

import json
import sys

from google.auth.transport.requests import AuthorizedSession
from google.oauth2 import service_account

key_file_path, scope, api = sys.argv[1:]
with open(key_file_path, encoding="utf-8") as file:
    key_file = json.load(file)

credentials = service_account.Credentials.from_service_account_info(
    key_file,
    scopes=scope.split(),
    # Without this line the assertion is made out to Google, and refused.
    additional_claims={"aud": key_file["token_uri"]},
)

# Gets a token, keeps it while it holds, and sends it.
answer = AuthorizedSession(credentials).get(api)
answer.raise_for_status()
print(answer.text)
