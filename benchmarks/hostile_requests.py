"""Send hostile requests to `zoo demo`, and count those that are answered as they should be.

Each has to be answered with a status below 500 and a sentence of text or JSON, without a traceback in the answer or in
the terminal of the server, without a query to a name server, and without the content of a file of the machine. After
all of them the demo must still predict, and SIGTERM must leave no file behind.

    python benchmarks/hostile_requests.py
    python benchmarks/hostile_requests.py --only 17
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from measuring import write

MODEL = "digit-classifier-mnist"
SECRET = "the content of a file that the demo may not show"  # noqa: S105
# The demo with a note of each name that it asks a name server for.
SPY = """
import socket, sys
for name in ("getaddrinfo", "gethostbyname", "gethostbyname_ex", "gethostbyaddr", "getnameinfo"):
    def spy(host, *rest, _asked=getattr(socket, name), **options):
        if host not in ("127.0.0.1", "::1", None):
            print("NAME SERVER", repr(host), file=sys.stderr, flush=True)
            raise socket.gaierror("no names are looked up here")
        return _asked(host, *rest, **options)
    setattr(socket, name, spy)
from zoo_core.cli import main
main()
"""
API = "/gradio_api"
JSON = {"Content-Type": "application/json"}
NEST = "[" * 100_000 + "]" * 100_000


@dataclass
class Request:
    """What is sent; ``text`` is a whole request in raw bytes instead."""

    method: str = "GET"
    path: str = "/"
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    raw: bytes = b""
    refused: bool = True
    """Whether the answer has to be an error."""

    def data(self, port: int) -> bytes:
        if self.raw:
            return self.raw
        headers = {"Host": f"127.0.0.1:{port}", "Content-Length": str(len(self.body)), **self.headers}
        lines = [f"{self.method} {self.path} HTTP/1.1", *(f"{key}: {value}" for key, value in headers.items())]
        return "\r\n".join([*lines, "Connection: close", "", ""]).encode("latin-1") + self.body


def posted(path: str, value: Any, **options: Any) -> Request:
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    return Request("POST", f"{API}{path}", JSON, body, **options)


def joined(data: Any, number: Any = 0, **more: Any) -> Request:
    return posted("/queue/join", {"data": data, "fn_index": number, "session_hash": "abc", **more})


def upload(name: str, content: bytes, ending: str = "") -> Request:
    line = f'--b\r\nContent-Disposition: form-data; name="files"; filename="{name}"\r\n\r\n'
    body = line.encode("utf-8", "surrogateescape") + content + b"\r\n--b--\r\n"
    kind = {"Content-Type": "multipart/form-data; boundary=b"}
    return Request("POST", f"{API}/upload{ending}", kind, body, refused=False)


def file(path: str, **more: Any) -> dict[str, Any]:
    return {"path": path, "meta": {"_type": "gradio.FileData"}, **more}


def requests(secret: str) -> list[Request]:
    """All requests; ``secret`` is the path of a file outside the folder of uploads."""
    hosts = ["evil.example", "evil.example:80", "localhost.evil.example", "127.0.0.1.evil.example", "", "[::2]", "a b"]
    hosts += ["127.0.0.1@evil.example", "evil.example#127.0.0.1", "0x7f000001", "2130706433", "127.0.0.1, evil.example"]
    found = [Request(headers={"Host": host}) for host in hosts]
    found += [Request("POST", f"{API}/queue/join", {**JSON, "Host": "evil.example"}, b"{}")]
    found += [
        Request("POST", f"{API}/queue/join", {**JSON, "Origin": origin}, joined([None]).body)
        for origin in ("http://evil.example", "null", "http://127.0.0.1.evil.example", "file://", "http://[")
    ]
    outside = [secret, "/etc/passwd", "../../etc/passwd", f"/proc/self/root{secret}", "/proc/self/environ"]
    for path in outside:
        found += [Request(path=f"{API}/file={urllib.parse.quote(path)}"), joined([file(path)])]
    urls = ["http://evil.example/a.png", "https://evil.example/a.png", "//evil.example/a.png", "file:///etc/passwd"]
    urls += [
        "ftp://evil.example/a.png",
        "http://169.254.169.254/a",
        "data:image/png;base64,AAAA",
        "gopher://evil.example",
    ]
    for url in urls:
        found += [Request(path=f"{API}/file={urllib.parse.quote(url, safe=':/')}"), joined([file(url)])]
        found += [Request(path=f"{API}/proxy={urllib.parse.quote(url, safe=':/')}")]
    found += [joined([file("a.png", url="http://evil.example/a.png")]), joined([{"url": "http://evil.example/a.png"}])]
    found += [joined([[file("http://evil.example/a.png")]]), joined({"a": file("http://evil.example/a.png")})]
    found += [joined([None], number) for number in (99, -1, "x", None, 1e300, [0], 2**70, True, "predict")]
    values: list[Any] = [5, "text", {}, [], [None] * 1000, [{"path": 5}], [{"path": None}]]
    values += [[file("")], [file("\x00")], [file("a" * 5000)], [file("\ud800")], [file(".")], [file("/")], [file("~")]]
    found += [joined(value) for value in values]
    harmless = [
        joined([None], 3),
        joined([{"composite": "x"}], 3),
        joined([5]),
        joined(["a"]),
        joined([True]),
        joined([{}]),
    ]
    harmless += [joined([[]]), joined([None])]
    found += [joined([{"composite": file("x")}], 3), joined([{"composite": file(secret)}], 3)]
    found += [joined([{"background": None, "layers": [file(secret)], "composite": file("/etc/passwd")}], 3)]
    found += [
        posted("/queue/join", body) for body in (b"", b"{", b"null", b"5", b"\xff", NEST.encode(), b'{"data":NaN}')
    ]
    found += [posted("/queue/join", {"data": [None]}), posted("/queue/join", {"fn_index": 0, "session_hash": 5})]
    found += [
        posted(f"/{way}/{name}", {"data": [None]})
        for way in ("run", "api", "call")
        for name in ("predict", "partial", "x")
    ]
    found += [posted("/cancel", b"["), posted("/reset", 5)]
    found += [posted("/component_server", {"data": 5, "component_id": 5, "fn_name": "__init__", "session_hash": "a"})]
    found += [posted("/stream/x", {"data": [None]}), posted("/stream/x/close", {})]
    found += [Request(path=f"{API}/{path}") for path in ("queue/data", "openapi.json", "deep_link", "runs", "proxy=")]
    found += [
        Request(path=f"{API}/{path}")
        for path in ("stream/a/b/5/playlist.m3u8", "custom_component/a/b/c/d", "upload_progress")
    ]
    found += [
        Request(path=path) for path in ("/docs", "/openapi.json", "/redoc", "/login", "/dev/reload", "/svelte/../../x")
    ]
    found += [
        Request(path=path)
        for path in ("/static/../../routes.py", "/assets/%2e%2e/%2e%2e/routes.py", "/%00", "//evil.example")
    ]
    found += [Request(path="/monitoring"), Request(path="/" + "a/" * 20_000)]
    found += [Request(method) for method in ("PUT", "DELETE", "TRACE", "CONNECT", "PATCH", "GARBAGE")]
    names = ["../../a.png", "/etc/a.png", "a\x00.png", "a" * 3000 + ".png", "\x1b[31m.png", "a.html", "a.svg", ".", ""]
    found += [upload(name, b"<script>alert(1)</script>") for name in names]
    found += [upload("a.png", bytes(11 * 2**20)), upload("a.png", b"", "?upload_id=../../x")]
    found += [
        Request("POST", f"{API}/upload", {"Content-Type": kind}, b"x")
        for kind in ("multipart/form-data", "text/plain", "")
    ]
    found += [Request("POST", f"{API}/queue/join", {**JSON, "Content-Length": "9" * 30}, b"{}")]
    found += [
        Request(raw=raw)
        for raw in (b"\r\n\r\n", b"GET\r\n\r\n", b"\x16\x03\x01" + bytes(200), b"GET / HTTP/9.9\r\n\r\n")
    ]
    found += [Request(raw=b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"), Request(raw=b"A" * 100_000)]
    harmless += [
        Request(
            headers={
                "Upgrade": "websocket",
                "Connection": "Upgrade",
                "Sec-WebSocket-Key": "a",
                "Sec-WebSocket-Version": "13",
            }
        )
    ]
    harmless += [
        posted("/cancel", {"session_hash": "a", "fn_index": 0, "event_id": "x"}),
        Request(path="/?__theme=" + "a" * 60_000),
    ]
    harmless += [Request(path=f"{API}/info"), Request(path="/\x80"), Request(path="/?" + "%00" * 100)]
    for request in harmless:
        request.refused = False
    return [*found, *harmless]


def answer(port: int, request: Request) -> bytes:
    """All that the server sends; the connection is closed when it is silent for some seconds."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection, contextlib.suppress(OSError):
        received = b""
        with contextlib.suppress(OSError):  # it may close the connection before it has everything
            connection.sendall(request.data(port))
        while part := connection.recv(65536):
            received += part
    return received


def outcome(request: Request, received: bytes, printed: str) -> str:
    """What happened, beginning with WRONG if it should not have."""
    head, _, body = received.partition(b"\r\n\r\n")
    status = int(match[1]) if (match := re.match(rb"HTTP/1\.[01] (\d{3})", head)) else 0
    text = body.decode("utf-8", "replace")
    if status >= 500:
        return f"WRONG: status {status}"
    if "Traceback" in text or "Traceback" in printed or "Exception in ASGI" in printed:
        return "WRONG: a traceback"
    if "NAME SERVER" in printed:
        return f"WRONG: {printed.strip().splitlines()[0]}"
    if SECRET in text or "root:x:" in text or "PATH=" in text:
        return "WRONG: the content of a file"
    printed = printed.replace("WARNING:  Invalid HTTP request received.", "")  # of uvicorn, which closes the connection
    if printed.strip():
        return f"WRONG: printed {printed.strip()[:80]!r}"
    if not status and not request.raw and request.refused:
        return "WRONG: no answer"
    if request.refused and not 400 <= status < 500 and not request.raw:
        return f"WRONG: accepted with {status}"
    if 400 <= status < 500 and not re.search(r"[A-Za-z]{3,}", text):
        return f"WRONG: {status} without a word"
    return f"{'refused' if status >= 400 else 'answered'} with {status}" if status else "closed"


@contextlib.contextmanager
def served(folder: Path) -> Iterator[tuple[int, subprocess.Popen[bytes], Path]]:
    """A demo, and the file with what it prints to standard error."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    environment = {**os.environ, "TMPDIR": str(folder), "PYTHONUNBUFFERED": "1"}
    errors = folder.parent / "errors.txt"
    command = [sys.executable, "-c", SPY, "demo", MODEL, "--port", str(port), "--no-browser"]
    with errors.open("wb") as file:
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=file)
        try:
            assert process.stdout is not None  # noqa: S101
            if not process.stdout.readline().startswith(b"http://"):
                raise SystemExit(f"the demo did not start: {errors.read_text()}")
            yield port, process, errors
        finally:
            process.kill()
            process.wait()


def predicts(port: int) -> bool:
    """Whether the page is served, and a request to predict is accepted."""
    page = answer(port, Request())
    return b"200 OK" in page[:20] and b"gradio" in page and b" 200 " in answer(port, joined([None]))[:20]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", type=int, help="number of one request")
    parser.add_argument("--output", type=Path)
    args = parser.parse_args()
    counts: Counter[str] = Counter()
    wrong = []
    with tempfile.TemporaryDirectory() as name:
        folder, secret = Path(name, "tmp"), Path(name, "secret.txt")
        folder.mkdir()
        secret.write_text(SECRET)
        with served(folder) as (port, process, errors):
            for number, request in enumerate(requests(str(secret))):
                if args.only not in (None, number):
                    continue
                before = errors.stat().st_size
                received = answer(port, request)
                time.sleep(0.02)
                printed = errors.read_bytes()[before:].decode("utf-8", "replace")
                what = outcome(request, received, printed)
                counts[what.partition(":")[0]] += 1
                if what.startswith("WRONG"):
                    wrong.append(
                        f"request {number}, {request.method} {ascii(request.path)[:80]} {request.body[:80]!r}: {what}"
                    )
                if args.only is not None:
                    print(received[:2000], printed, sep="\n")
            if not predicts(port):
                wrong.append("the demo no longer predicts")
            process.send_signal(signal.SIGTERM)
            code = process.wait(timeout=30)
            left = sorted(path.name for path in folder.rglob("*"))
            if code != 143 or left:
                wrong.append(f"SIGTERM: exit code {code}, left behind: {left}")
    for what, count in counts.most_common():
        print(f"{count:6}  {what}")
    print(*wrong, sep="\n")
    print(f"{sum(counts.values())} requests, {len(wrong)} wrong")
    write(args.output, {"counts": counts, "wrong": wrong})
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
