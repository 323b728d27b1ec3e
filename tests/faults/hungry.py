"""A server that takes what it is asked to take: ``python hungry.py PORT``."""

import http.server
import os
import subprocess
import sys

HELD = []


class Hungry(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        _, what, amount = self.path.split("/")
        if what == "memory":
            HELD.append(bytearray(int(amount)))
        elif what == "cpu":
            sum(range(int(amount)))
        elif what == "files":
            HELD.extend([os.open(__file__, os.O_RDONLY) for _ in range(int(amount))])
        elif what == "processes":
            HELD.extend([subprocess.Popen(("sleep", "60")) for _ in range(int(amount))])
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"done")

    def log_message(self, *_):
        pass


http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Hungry).serve_forever()
