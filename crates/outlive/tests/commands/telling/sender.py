"""Sends webhooks that the library of Standard Webhooks signs: one a line of input, `ID AGE_S BODY`; prints the answers."""

import json
import sys
import urllib.error
import urllib.request
from datetime import datetime, timedelta, timezone

from standardwebhooks import Webhook

url, secret = sys.argv[1], sys.argv[2]
for line in sys.stdin:
    name, age, body = line.rstrip("\n").split(" ", 2)
    at = datetime.now(tz=timezone.utc) - timedelta(seconds=int(age))
    headers = {
        "content-type": "application/json",
        "webhook-id": name,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": Webhook(secret).sign(name, at, body),
    }
    request = urllib.request.Request(url, body.encode(), headers)
    try:
        with urllib.request.urlopen(request) as answer:
            print(json.dumps([answer.status, json.load(answer)]), flush=True)
    except urllib.error.HTTPError as refused:
        print(json.dumps([refused.code, json.load(refused)]), flush=True)
