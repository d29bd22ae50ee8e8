"""The demo answers requests of its own page, at its own address; all others get a sentence."""

from __future__ import annotations

import asyncio
import io
import json
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from demo_served import served
from PIL import Image
from repository import ROOT
from starlette.requests import ClientDisconnect

from zoo_core.tools.demo.guard import Guard

CALL = {"data": [None], "fn_index": 0, "session_hash": "a"}
EVERYWHERE = "0.0.0.0"  # noqa: S104


@pytest.fixture
def uploads(tmp_path: Path) -> Path:
    (tmp_path / "uploads").mkdir()
    (tmp_path / "uploads" / "a.png").write_bytes(b"image")
    (tmp_path / "secret.txt").write_text("secret")
    (tmp_path / "uploads" / "link.png").symlink_to(tmp_path / "secret.txt")
    return tmp_path / "uploads"


def answer(
    uploads: Path,
    method: str = "GET",
    path: str = "/",
    body: Any = b"",
    served_at: str = "127.0.0.1",
    headers: dict[str, str] | None = None,
) -> tuple[int, str, Any]:
    """The status, the text, and the body that reached the application behind a guard."""
    reached: list[Any] = []
    sent: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if path.startswith("/broken"):
            raise ValueError("a bug\x1b[2J of\nthe application")
        if path == "/gone":
            raise ClientDisconnect
        reached.append(json.loads((await receive())["body"]) if method == "POST" else None)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"page"})

    async def receive() -> Any:
        return {"type": "http.request", "body": body if isinstance(body, bytes) else json.dumps(body).encode()}

    async def send(message: Any) -> None:
        sent.append(message)

    given = {"host": "127.0.0.1:7860", **(headers or {})}
    listed = [(key.encode(), value.encode("latin-1")) for key, value in given.items()]
    scope = {"type": "http", "method": method, "path": path, "headers": listed}
    asyncio.run(Guard(app, served_at, str(uploads), [1, 0])(scope, receive, send))
    assert [key for key, _ in sent[0]["headers"]].count(b"content-security-policy") == 1
    return sent[0]["status"], sent[1]["body"].decode(), reached[0] if reached else None


@pytest.mark.parametrize(
    ("served_at", "host"),
    [
        ("127.0.0.1", "127.0.0.1:7860"),
        ("127.0.0.1", "LOCALHOST:80"),
        ("127.0.0.1", "[::1]:7860"),
        (EVERYWHERE, "192.168.1.5:7860"),
        (EVERYWHERE, socket.gethostname()),
        ("box.example", "box.example:7860"),
    ],
)
def test_its_own_names_and_addresses_are_answered(uploads: Path, served_at: str, host: str) -> None:
    assert answer(uploads, served_at=served_at, headers={"host": host})[:2] == (200, "page")


@pytest.mark.parametrize(
    ("served_at", "host"),
    [
        *(("127.0.0.1", host) for host in ("evil.example", "evil.example:7860", "127.0.0.1.evil.example", "", "a b")),
        *(("127.0.0.1", host) for host in ("127.0.0.1@evil.example", "evil.example#127.0.0.1", "2130706433", "[::2]")),
        *(("127.0.0.1", host) for host in ("192.168.1.5", "localhost.", "127.0.0.1/evil", "[", "127.0.0.1:x")),
        (EVERYWHERE, "evil.example"),
        ("box.example", "evil.example"),
    ],
)
def test_another_name_in_the_host_header_is_refused_as_in_dns_rebinding(
    uploads: Path, served_at: str, host: str
) -> None:
    status, text, reached = answer(uploads, served_at=served_at, headers={"host": host})
    assert (status, reached) == (403, None)
    assert "Start it with --host NAME" in text


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "file://", "http://127.0.0.1.evil.example", "["])
def test_a_request_of_another_page_is_refused(uploads: Path, origin: str) -> None:
    posted = {"method": "POST", "path": "/gradio_api/queue/join", "body": CALL}
    assert answer(uploads, **posted, headers={"origin": origin})[0] == 403
    assert answer(uploads, **posted, headers={"origin": "http://127.0.0.1:7860"})[0] == 200


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/", 200),
        ("GET", "/gradio_api/queue/data", 200),
        ("GET", "/gradio_api/file={uploads}/a.png", 200),
        ("GET", "/gradio_api/file={uploads}/link.png", 403),
        ("GET", "/gradio_api/file={uploads}/../secret.txt", 403),
        ("GET", "/gradio_api/file={uploads}", 403),
        ("GET", "/gradio_api/file=http://evil.example/a.png", 403),
        ("GET", "/gradio_api/file=" + "a" * 5000, 403),
        ("GET", "/gradio_api/proxy=http://evil.example/a.png", 404),
        ("GET", "/gradio_api/openapi.json", 404),
        ("GET", "/docs", 404),
        ("GET", "/a\x00", 404),
        ("POST", "/gradio_api/component_server", 404),
        ("POST", "/gradio_api/run/predict", 404),
        ("PUT", "/", 405),
        ("GET", "/broken", 400),
    ],
)
def test_addresses_that_the_page_does_not_need_are_refused(
    uploads: Path, method: str, path: str, expected: int
) -> None:
    status, text, _ = answer(uploads, method, path.replace("{uploads}", str(uploads)))
    assert status == expected
    assert status == 200 or len(json.loads(text)["detail"].split()) > 3


def test_an_internal_error_is_one_line_for_who_runs_the_demo(uploads: Path, capsys: Any) -> None:
    assert answer(uploads, path="/broken\x1b[31m\n" + "a" * 5000)[0] == 400
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(r"zoo demo: GET /broken\x1b[31m aaa")
    assert re.search(r"…: ValueError: a bug\\x1b\[2J of the application \(demo/test_guard\.py, line \d+\)$", line)
    for path in ("/", "/docs", "/gone"):  # requests that are refused, or that were ended, are none
        answer(uploads, path=path)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    "call",
    [
        *(b"", b"{", b"null", b"[]", b"\xff", b'{"data": NaN}', b"[" * 100_000),
        *({**CALL, "fn_index": number} for number in (2, -1, None, "0", True, 1.5, 2**70, [0])),
        *({**CALL, "data": data} for data in (None, {}, [], [None, None], "a")),
        *({**CALL, "data": [{"path": path}]} for path in (None, 5, "", "/etc/passwd", "\x00", "http://evil.example/a")),
        {**CALL, "data": [[{"a": {"url": "http://evil.example/a"}}]]},
        {**CALL, "session_hash": None},
        {**CALL, "session_hash": "a" * 101},
        {**CALL, "data": [[0] * 20_000]},
        b"[" + b"0," * 1_000_000 + b"0]",
    ],
    ids=lambda call: str(call)[:40],
)
def test_calls_that_the_page_does_not_make_are_refused(uploads: Path, call: Any) -> None:
    status, text, reached = answer(uploads, "POST", "/gradio_api/queue/join", call)
    assert status in (413, 422)
    assert reached is None
    assert json.loads(text)["detail"].endswith(".")


def test_the_url_of_an_uploaded_file_is_left_out_since_its_host_would_be_looked_up(uploads: Path) -> None:
    path = str(uploads / "a.png")
    call = {**CALL, "data": [{"path": path, "url": "http://evil.example/a.png"}], "batched": True}
    status, _, reached = answer(uploads, "POST", "/gradio_api/queue/join", call)
    assert status == 200
    assert reached["data"] == [{"path": path}]
    assert "batched" not in reached


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with served("digit-classifier-mnist") as (address, _):
        yield address


def predicted(address: str, data: list[Any], number: int = 0) -> Any:
    """What the page receives after it has called a function."""
    call = {"data": data, "fn_index": number, "session_hash": "s", "trigger_id": 8, "event_data": None}
    joined = requests.post(f"{address}gradio_api/queue/join", json=call, timeout=60)
    assert joined.status_code == 200, joined.text
    stream = requests.get(f"{address}gradio_api/queue/data?session_hash=s", stream=True, timeout=60)
    for line in stream.iter_lines():
        message = json.loads(line.removeprefix(b"data: ")) if line else {}
        if message.get("msg") == "process_completed":
            return message
    raise AssertionError("no answer")


def test_an_uploaded_image_is_predicted_and_shown(address: str) -> None:
    Image.new("L", (28, 28)).save(content := io.BytesIO(), "PNG")
    image = {"files": ("digit.png", content.getvalue())}
    (path,) = requests.post(f"{address}gradio_api/upload", files=image, timeout=60).json()
    shown = requests.get(f"{address}gradio_api/file={path}", timeout=60)
    assert (shown.status_code, shown.content) == (200, content.getvalue())
    file = {"path": path, "orig_name": "digit.png", "meta": {"_type": "gradio.FileData"}}
    message = predicted(address, [{**file, "url": f"{address}gradio_api/file={path}"}])
    assert message["success"], message
    assert 'alt="input: image"' in message["output"]["data"][0]


@pytest.mark.parametrize("data", [[5], ["a"], [[]], [{}], [True]])
def test_a_value_of_another_kind_gets_a_sentence_and_no_traceback(address: str, data: list[Any], capfd: Any) -> None:
    message = predicted(address, data)
    assert not message["success"]
    assert re.search(r"can't be answered|missing|image", message["output"]["error"])
    assert "Traceback" not in capfd.readouterr().err


def test_no_hostile_request_gets_more_than_a_sentence_and_sigterm_leaves_no_file() -> None:
    script = ROOT / "benchmarks" / "hostile_requests.py"
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    count = re.search(r"^(\d+) requests, 0 wrong$", done.stdout, re.MULTILINE)
    assert count
    assert int(count[1]) >= 40
