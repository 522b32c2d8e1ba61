"""A Graph API in a thread of its own, as far as a process under test needs one: it takes messages and gives files."""

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

FILE = b"\x89PNG\r\n\x1a\n" + b"the bytes of a file " * 3000


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path.startswith("/files/"):
            self._answer(FILE, "image/png")
            return
        name = self.path.partition("?")[0].rpartition("/")[2]
        facts = {
            "url": f"http://{self.headers['Host']}/files/{name}",
            "mime_type": "image/png",
            "sha256": hashlib.sha256(FILE).hexdigest(),
            "file_size": len(FILE),
            "id": name,
        }
        self._answer(json.dumps(facts).encode())

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", "0")))
        self._answer(json.dumps({"messages": [{"id": f"wamid.out.{threading.get_ident()}"}]}).encode())

    def _answer(self, body: bytes, content_type: str = "application/json") -> None:
        self.send_response(200)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nobody reads that."""


@contextmanager
def serve_media_graph() -> Iterator[str]:
    """Serves it until the block ends; yields the base of its addresses, with a version."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v25.0"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
