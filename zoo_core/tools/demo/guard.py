"""What the demo accepts from the network: requests of its own page, sent to its own address.

A page of another server can make a browser send requests to this one, also under its own name, whose address it changes
afterwards (DNS rebinding). Gradio serves much that the page does not need, looks up the names of hosts that a request
names, and answers what it does not expect with a traceback.
"""

from __future__ import annotations

import ipaddress
import json
import os
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from zoo_core.errors import one_line, raised
from zoo_core.fingerprint.example_errors import place_of
from zoo_core.terminal import say

# The page may load resources from this server and inline ones; the browser refuses all others.
POLICY = (
    "default-src 'self' data: blob:; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; "
    "style-src 'self' 'unsafe-inline'; connect-src 'self' data: blob:"
)
_API = "/gradio_api"
_POSTED = {f"{_API}/{name}" for name in ("queue/join", "upload", "cancel", "reset")}
_NOT_SERVED = ("proxy=", "file/", "custom_component", "stream/", "runs", "run-history", "deep_link", "openapi.json")
_NOT_SERVED_PAGES = (
    "/docs",
    "/redoc",
    "/openapi.json",
    "/dev/",
    "/login",
    "/logout",
    "/monitoring",
    "/gradio_api/dev/",
)
_MAX_BODY = 2**20  # bytes of a request other than an upload; files are uploaded before
_MAX_VALUES = 10_000
_Receive = Callable[[], Awaitable[Any]]
_Send = Callable[[Any], Awaitable[None]]


class Guard:
    """ASGI middleware that refuses other requests with a sentence, and adds the policy to every response.

    ``inputs`` is the number of values that each function of the page takes.
    """

    def __init__(self, app: Callable[..., Awaitable[None]], host: str, uploads: str, inputs: Sequence[int]) -> None:
        self._app, self._host, self._inputs = app, host, inputs
        self._uploads = Path(os.path.realpath(uploads))

    async def __call__(self, scope: Any, receive: _Receive, send: _Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":  # there are no WebSockets
            await send({"type": "websocket.close", "code": 1008})
            return
        begun = False

        async def send_with_policy(message: Any) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                added = [(b"content-security-policy", POLICY.encode()), (b"referrer-policy", b"no-referrer")]
                message["headers"] = [*message.get("headers", []), *added]
            await send(message)

        try:
            self._check_origin(scope)
            self._check_path(scope)
            receive = await self._checked_body(scope, receive)
            await self._app(scope, receive, send_with_policy)
        except _Refused as refused:
            await _answer(send_with_policy, refused.status, str(refused))
        except Exception as error:
            if type(error).__name__ != "ClientDisconnect":  # of Starlette: nobody waits for an answer
                say(
                    f"zoo demo: {scope['method']} {one_line(scope['path'])}: {raised(error)}{place_of(error)}", err=True
                )
            if begun:  # the rest of an answer can't be replaced; the connection ends
                return
            await _answer(send_with_policy, 400, "The demo can't answer this request, which its page does not send.")

    def _check_origin(self, scope: Any) -> None:
        """Raise _Refused unless the request names this server, and comes from its page if it comes from a page."""
        headers = [(key.decode("latin-1"), value.decode("latin-1")) for key, value in scope["headers"]]
        hosts = [value for key, value in headers if key == "host"]
        if len(hosts) != 1 or not self._is_own(_host_of(f"//{hosts[0]}")):
            raise _Refused(
                403, f"This demo does not answer as '{one_line(', '.join(hosts))}'. Start it with --host NAME to do so."
            )
        for key, value in headers:
            if key == "origin" and not self._is_own(_host_of(value)):
                raise _Refused(403, f"This demo accepts no requests of pages of '{one_line(value)}'.")

    def _is_own(self, host: str) -> bool:
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            return bool(host) and host in ("localhost", self._host.lower(), socket.gethostname().lower())
        return address.is_loopback or not _is_loopback(self._host)  # an address has no name that could change

    def _check_path(self, scope: Any) -> None:
        path, method = str(scope["path"]), scope["method"]
        api = path.removeprefix(f"{_API}/") if path.startswith(f"{_API}/") else ""
        wanted = method in ("GET", "HEAD") or (method == "POST" and path.rstrip("/") in _POSTED)
        if method not in ("GET", "HEAD", "POST"):
            raise _Refused(405, f"This demo has no method {one_line(method, 20)}.")
        if not wanted or api.startswith(_NOT_SERVED) or path.startswith(_NOT_SERVED_PAGES) or "\x00" in path:
            raise _Refused(404, f"This demo has no address {one_line(path)}.")
        if api.startswith("file=") and not self._is_upload(api.removeprefix("file=")):
            raise _Refused(403, "This demo shows only files that were uploaded to it.")

    def _is_upload(self, path: str) -> bool:
        try:
            real = Path(os.path.realpath(path))
            return real.is_relative_to(self._uploads) and real.is_file()
        except (OSError, ValueError):  # the name is too long, or no name
            return False

    async def _checked_body(self, scope: Any, receive: _Receive) -> _Receive:
        """``receive`` after the body of a request has been read and checked; uploads are checked while they arrive."""
        if scope["method"] != "POST" or scope["path"].rstrip("/") == f"{_API}/upload":
            return receive
        body, more = b"", True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise _Refused(400, "The request is incomplete.")
            body, more = body + message.get("body", b""), message.get("more_body", False)
            if len(body) > _MAX_BODY:
                raise _Refused(413, f"A request may have at most {_MAX_BODY:,} bytes; upload files first.")
        try:
            values = json.loads(body, parse_constant=_no_number)
        except (ValueError, RecursionError):
            raise _Refused(422, "The request is not JSON.") from None
        if scope["path"].rstrip("/") == f"{_API}/queue/join":
            values = self._checked_call(values)
        whole = {"type": "http.request", "body": json.dumps(values).encode(), "more_body": False}

        async def receive_checked() -> Any:
            nonlocal whole
            message, whole = whole, {}
            return message or await receive()

        return receive_checked

    def _checked_call(self, call: Any) -> Any:
        """A call of a function of the page, without the URLs of its files, which Gradio would look up."""
        number, data = (call.get("fn_index"), call.get("data")) if isinstance(call, dict) else (None, None)
        if type(number) is not int or not 0 <= number < len(self._inputs):
            raise _Refused(422, "The request calls no function of the page.")
        if not isinstance(data, list) or len(data) != self._inputs[number]:
            raise _Refused(422, f"The request has no list of {self._inputs[number]} values, as the page sends.")
        if not isinstance(call.get("session_hash"), str) or len(call["session_hash"]) > 100:
            raise _Refused(422, "The request has no session_hash.")
        waiting: list[Any] = [data]
        for _ in range(_MAX_VALUES):
            if not waiting:
                return {key: call.get(key) for key in ("data", "fn_index", "session_hash", "trigger_id", "event_data")}
            value = waiting.pop()
            if isinstance(value, dict) and ("path" in value or "url" in value):
                self._check_file(value)
            inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
            waiting.extend(inner)
        raise _Refused(413, f"The request has more than {_MAX_VALUES:,} values.")

    def _check_file(self, file: dict[str, Any]) -> None:
        file.pop("url", None)
        if not isinstance(file.get("path"), str) or not self._is_upload(file["path"]):
            raise _Refused(422, "The request names a file that was not uploaded to this demo.")


class _Refused(Exception):
    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


async def _answer(send: _Send, status: int, sentence: str) -> None:
    body = json.dumps({"detail": sentence}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _host_of(url: str) -> str:
    """The host in a URL, in lower case and without its port; "" if there is none, as in ``null``."""
    try:
        parts = urlsplit(url)
        _ = parts.port
        user = parts.username is not None
    except ValueError:
        return ""
    return "" if user or parts.path not in ("", "/") else parts.hostname or ""


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _no_number(name: str) -> Mapping[str, Any]:
    raise ValueError(name)
