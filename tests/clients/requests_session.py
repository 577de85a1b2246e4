"""Python's requests, with a session as its documentation has it."""

import sys

import requests


def chunks(path):
    """What a generator brings has no length."""
    with open(path, "rb") as content:
        while chunk := content.read(64 << 10):
            yield chunk


url, path, *uploads = sys.argv[1:]
session = requests.Session()
for upload in uploads:
    body = chunks(path) if upload.startswith("chunked") else open(path, "rb")
    try:
        answer = session.post(url, data=body, headers={"X-Test-Id": upload})
        answer.raise_for_status()
        told = answer.headers
        print(upload, answer.status_code, told["X-Sim-Body-Length"], told["X-Sim-Body-Sha256"])
    except requests.RequestException as e:
        print(upload, "failed:", e)
