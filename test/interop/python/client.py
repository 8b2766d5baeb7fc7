"""Gets an access token for a key file with google-auth, Google's client for Python.

    python3 client.py key-file.json 'read write'
"""

import json
import sys

from google.auth.transport.requests import Request
from google.oauth2 import service_account

key_file_path, scope = sys.argv[1:]
with open(key_file_path, encoding="utf-8") as file:
    key_file = json.load(file)

credentials = service_account.Credentials.from_service_account_info(
    key_file,
    scopes=scope.split(),
    # Without this line the assertion is made out to Google, and refused.
    additional_claims={"aud": key_file["token_uri"]},
)
credentials.refresh(Request())
print(credentials.token)
