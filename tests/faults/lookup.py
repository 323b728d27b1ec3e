"""A server that looks up the name in the path, and tells its address and the seconds that it took."""

import socket
import sys
import time
from http.server import BaseHTTPRequestHandler, HTTPServer


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        began = time.monotonic()
        try:
            answer = socket.getaddrinfo(self.path[1:], 80, proto=socket.IPPROTO_TCP)[0][4][0]
        except socket.gaierror as error:
            answer = {socket.EAI_NONAME: "no-name", socket.EAI_AGAIN: "again"}.get(error.errno, str(error.errno))
        body = f"{answer} {time.monotonic() - began} {sys.argv[2]}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
