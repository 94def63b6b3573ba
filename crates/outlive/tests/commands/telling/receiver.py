"""Takes webhooks that the library of Standard Webhooks can verify, and keeps what it took.

receiver.py PORT SECRET FILE REFUSALS: answers so many with 503 before it takes one.
"""

import json
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer

from standardwebhooks import Webhook

port, secret, kept, refusals = int(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self):
        global refusals
        body = self.rfile.read(int(self.headers["content-length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        taken = {"id": headers.get("webhook-id"), "refused": refusals > 0}
        try:
            taken["body"] = Webhook(secret).verify(body, headers)
        except Exception as why:  # what it does not know by its signature is told to the test
            taken["forged"] = repr(why)
        with open(kept, "a") as file:
            file.write(json.dumps(taken) + "\n")
        self.send_response(503 if refusals > 0 else 204)
        refusals -= 1
        self.end_headers()

    def log_message(self, *_):
        pass


HTTPServer(("127.0.0.1", port), Receiver).serve_forever()
