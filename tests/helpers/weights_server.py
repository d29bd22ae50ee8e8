"""A local web server that serves a file, correctly or not, and records the requests."""

from __future__ import annotations

import re
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any


class Server:
    """Calls ``answer(request, data)`` for every request.

    ``ranges`` lists the Range header of every GET request, ``paths`` the method and path of every request.
    """

    def __init__(self, data: bytes, answer: Callable[[Request, bytes], None] | None = None) -> None:
        self.data, self.answer = data, answer or serve_file
        self.ranges: list[str | None] = []
        self.paths: list[str] = []
        self.sent = 0
        self.closing = Event()
        outer = self

        class Bound(Request):
            server_data = outer

        self._server = _QuietServer(("127.0.0.1", 0), Bound)
        self._thread = Thread(target=self._server.serve_forever, args=(0.01,))

    @property
    def root(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def url(self) -> str:
        return f"{self.root}/line.safetensors"

    def __enter__(self) -> Server:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.closing.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class Request(BaseHTTPRequestHandler):
    """A request, with shorthands for answering it."""

    server_data: Server
    timeout = 10

    def do_GET(self) -> None:
        self.server_data.paths.append(f"GET {self.path}")
        self.server_data.ranges.append(self.headers["Range"])
        self.server_data.answer(self, self.server_data.data)

    def do_HEAD(self) -> None:
        self.server_data.paths.append(f"HEAD {self.path}")
        self.server_data.answer(self, self.server_data.data)

    @property
    def begin(self) -> int:
        """First byte of the requested range."""
        match = re.fullmatch(r"bytes=(\d+)-", self.headers["Range"] or "")
        return int(match[1]) if match else 0

    def head(self, status: int, **headers: Any) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()

    def body(self, data: bytes) -> None:
        self.wfile.write(data)
        self.server_data.sent += len(data)

    def wait(self) -> None:
        """Send nothing more until the test is over."""
        self.server_data.closing.wait(30)

    def log_message(self, format: str, *words: Any) -> None:
        pass


class _QuietServer(ThreadingHTTPServer):
    daemon_threads = False  # closing waits for every response
    block_on_close = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass  # the client has closed the connection


def serve_file(request: Request, data: bytes) -> None:
    """Serve the file, or the requested range of it."""
    begin = request.begin
    if begin >= len(data):
        request.head(416, Content_Range=f"bytes */{len(data)}")
    elif begin:
        part = f"bytes {begin}-{len(data) - 1}/{len(data)}"
        request.head(206, Content_Range=part, Content_Length=len(data) - begin)
    else:
        request.head(200, Content_Length=len(data))
    if request.command == "GET":
        request.body(data[begin:])
