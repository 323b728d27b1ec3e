"""A server that sends numbered datagrams where it is told to, hands out bytes, and fetches from its neighbour.

``/datagrams/HOST/PORT/COUNT`` sends as many, each with its number and its moment; ``/bytes/N`` answers N bytes;
``/neighbour`` is what the server at the link answers.
"""

import socket
import sys
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer

AT_ONCE = 10
PAUSE = 0.002


def pattern(size):
    return bytes(number * 7 % 251 for number in range(size))


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        _, what, *words = self.path.split("/")
        body = getattr(self, f"do_{what}")(*words) if what else b"here"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_datagrams(self, host, port, count):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.connect((host, int(port)))
            for number in range(int(count)):
                sender.send(f"{number} {time.monotonic()}".encode())
                if number % AT_ONCE == 0:
                    time.sleep(PAUSE)
        return b"sent"

    def do_bytes(self, size):
        return pattern(int(size))

    def do_neighbour(self):
        with urllib.request.urlopen(f"http://{sys.argv[3]}/", timeout=10) as answer:
            return answer.read()

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    def server_bind(self):
        # Not HTTPServer's own, which asks for the name of its address: there is nobody to ask in a network of its own.
        TCPServer.server_bind(self)


if __name__ == "__main__":
    Server((sys.argv[1], int(sys.argv[2])), Handler).serve_forever()
