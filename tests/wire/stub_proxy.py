"""What stands in for LiteLLM where only the stack around it is tested: up at once, and it tells what reached it.

`python stub_proxy.py PORT`. POST /echo answers {"headers": ..., "body_bytes": n}; POST /boom is a 503;
GET /count answers how many POSTs there were; everything else is a 200.
"""

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Stub(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    posts = 0

    def do_GET(self) -> None:
        self._answer(200, {"posts": Stub.posts})

    def do_POST(self) -> None:
        Stub.posts += 1
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self._answer(503 if self.path == "/boom" else 200, {"headers": headers, "body_bytes": len(body)})

    def _answer(self, status: int, content: object) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Stub)
    sys.stdout.write("Application startup complete.\n")
    sys.stdout.flush()
    server.serve_forever()
