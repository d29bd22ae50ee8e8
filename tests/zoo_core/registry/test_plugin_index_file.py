"""The index of known plugins is read from a file or a URL; a copy of a URL's is kept for a day."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from weights_server import Request, Server

from zoo_core.errors import BadFile
from zoo_core.registry.plugin_index_file import MOST_BYTES, given_index, read_index, read_without_network

INDEX = json.dumps({"format": 1, "plugins": [{"requirement": "zoo-nerf>=1.2"}]}).encode()
NEWER = INDEX.replace(b"1.2", b"1.3")


def requirements(source: str, **how: bool) -> list[str]:
    return [plugin.requirement for plugin in read_index(source, **how).plugins]


def age(home: Path, hours: float) -> None:
    (copy,) = (home / "cache" / "plugin-index").iterdir()
    then = time.time() - 3600 * hours
    os.utime(copy, (then, then))


def test_the_environment_variable_names_the_index(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ZOO_PLUGIN_INDEX", raising=False)
    assert given_index() is None
    monkeypatch.setenv("ZOO_PLUGIN_INDEX", "")
    assert given_index() is None
    monkeypatch.setenv("ZOO_PLUGIN_INDEX", "plugins.json")
    assert given_index() == "plugins.json"


def test_a_file_is_read_at_every_call(tmp_path: Path) -> None:
    path = tmp_path / "plugins.json"
    path.write_bytes(INDEX)
    assert requirements(str(path)) == ["zoo-nerf>=1.2"]
    path.write_bytes(NEWER)
    assert requirements(str(path)) == ["zoo-nerf>=1.3"]


def test_a_path_may_begin_at_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "plugins.json").write_bytes(INDEX)
    assert requirements("~/plugins.json") == ["zoo-nerf>=1.2"]
    assert read_without_network("~/plugins.json") is not None


def test_a_file_address_is_refused_with_its_path(tmp_path: Path) -> None:
    with pytest.raises(BadFile, match="is a file: address") as caught:
        read_index((tmp_path / "my plugins.json").as_uri())
    assert caught.value.hint == f"Give its path, '{tmp_path / 'my plugins.json'}', instead."


def test_a_url_is_downloaded_once_a_day_and_when_it_is_asked_for(zoo_home: Path) -> None:
    with Server(INDEX) as server:
        assert requirements(server.url) == ["zoo-nerf>=1.2"]
        server.data = NEWER
        assert requirements(server.url) == ["zoo-nerf>=1.2"]
        assert len(server.paths) == 1
        assert requirements(server.url, refresh=True) == ["zoo-nerf>=1.3"]
        server.data = INDEX
        age(zoo_home, hours=25)
        assert requirements(server.url) == ["zoo-nerf>=1.2"]
        server.data = NEWER
        age(zoo_home, hours=-25)  # the clock was set back
        assert requirements(server.url) == ["zoo-nerf>=1.3"]
        assert len(server.paths) == 4


def test_without_the_server_the_copy_is_used_with_a_warning(zoo_home: Path) -> None:
    with Server(INDEX) as server:
        read_index(server.url)
    age(zoo_home, hours=48)
    with pytest.warns(UserWarning, match=r"could not be downloaded: ConnectionRefusedError.*The copy of 20.* is used"):
        assert requirements(server.url) == ["zoo-nerf>=1.2"]


def test_a_copy_is_not_replaced_by_what_is_not_an_index(zoo_home: Path) -> None:
    with Server(INDEX) as server:
        read_index(server.url)
        server.data = b"<html>captive portal</html>"
        with pytest.warns(UserWarning, match="is not JSON"):
            assert requirements(server.url, refresh=True) == ["zoo-nerf>=1.2"]
        assert requirements(server.url) == ["zoo-nerf>=1.2"]


@pytest.mark.parametrize("content", [b"", b"{", b'{"format": 2}', b"\x00" * 100])
def test_a_damaged_copy_is_downloaded_again(content: bytes, zoo_home: Path) -> None:
    with Server(INDEX) as server:
        read_index(server.url)
        (copy,) = (zoo_home / "cache" / "plugin-index").iterdir()
        copy.write_bytes(content)
        assert requirements(server.url) == ["zoo-nerf>=1.2"]
        assert copy.read_bytes() == INDEX


def test_a_folder_that_cannot_be_written_costs_only_the_copy(zoo_home: Path) -> None:
    (zoo_home / "cache").write_text("a file")
    with Server(INDEX) as server:
        assert requirements(server.url) == requirements(server.url) == ["zoo-nerf>=1.2"]
        assert len(server.paths) == 2


def test_nothing_is_downloaded_where_downloads_are_disabled(monkeypatch: pytest.MonkeyPatch, zoo_home: Path) -> None:
    with Server(INDEX) as server:
        monkeypatch.setenv("ZOO_OFFLINE", "1")
        with pytest.raises(BadFile, match="can't be downloaded, since ZOO_OFFLINE is set"):
            read_index(server.url)
        monkeypatch.delenv("ZOO_OFFLINE")
        read_index(server.url)
        monkeypatch.setenv("ZOO_OFFLINE", "1")
        age(zoo_home, hours=100)
        with pytest.warns(UserWarning, match=r"since ZOO_OFFLINE is set\. The copy of"):
            assert requirements(server.url) == ["zoo-nerf>=1.2"]
        assert len(server.paths) == 1


def test_without_network_there_is_the_file_or_the_copy(tmp_path: Path, zoo_home: Path) -> None:
    with Server(INDEX) as server:
        assert read_without_network(server.url) is None
        assert server.paths == []
        read_index(server.url)
        age(zoo_home, hours=1000)
        kept = read_without_network(server.url)
        assert kept is not None
        assert len(kept.plugins) == len(server.paths) == 1
    path = tmp_path / "plugins.json"
    path.write_bytes(INDEX)
    assert read_without_network(str(path)) is not None


def drip(request: Request, data: bytes) -> None:
    request.head(200, Content_Length=len(data))
    for byte in data:
        request.body(bytes([byte]))
        if request.server_data.closing.wait(0.2):
            return


def drip_headers(request: Request, data: bytes) -> None:
    request.wfile.write(b"HTTP/1.1 200 OK\r\n")
    while not request.server_data.closing.wait(0.2):
        request.wfile.write(b"X-More: more\r\n")


@pytest.mark.parametrize(
    "answer", [drip, drip_headers, lambda request, data: request.wait()], ids=["body", "headers", "silence"]
)
def test_a_slow_server_is_given_up_after_a_short_time_in_total(answer: Callable[[Request, bytes], None]) -> None:
    with Server(INDEX, answer) as server:
        begin = time.monotonic()
        with pytest.raises(BadFile, match=r"could not be downloaded: (it took more than 0\.5 s|.*[Tt]ime)"):
            read_index(server.url, seconds=0.5)
        assert time.monotonic() - begin < 3


def to(location: str) -> Callable[[Request, bytes], None]:
    return lambda request, data: request.head(302, Location=location, Content_Length=0)


def endless(request: Request, data: bytes) -> None:
    request.head(200)
    while request.server_data.sent < 2 * MOST_BYTES:
        request.body(b" " * 2**16)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda request, data: request.head(404, Content_Length=0), "could not be downloaded: 404 Not Found"),
        (lambda request, data: request.head(500, Content_Length=0), "could not be downloaded: 500"),
        (to("/again"), "redirects more than 5 times"),
        (to("file:///etc/passwd"), "redirects to file:///etc/passwd, which is not https"),
        (to("http://example.org/index"), "redirects to http://example.org/index, which is not https"),
        (to("https://[::1"), "could not be downloaded: ValueError"),
        (endless, "has more than the 4,194,304 bytes that are read"),
        (lambda request, data: request.wfile.write(b"nonsense\r\n\r\n"), "could not be downloaded"),
    ],
    ids=["404", "500", "loop", "file", "http", "no-url", "endless", "no-http"],
)
def test_an_answer_that_is_not_an_index_is_an_error_of_two_lines(
    answer: Callable[[Request, bytes], None], said: str
) -> None:
    with Server(INDEX, answer) as server, pytest.raises(BadFile) as caught:
        read_index(server.url)
    assert said in caught.value.message
    assert len(str(caught.value).splitlines()) == 2


@pytest.mark.parametrize("url", ["http://example.org/a", "hf://a/b", "ftp://a/b", "://", "x://"])
def test_another_scheme_than_https_is_refused_without_a_connection(url: str) -> None:
    with pytest.raises(BadFile, match=r"is not https\."):
        read_index(url)


def test_a_password_in_the_url_is_not_shown() -> None:
    with Server(INDEX, lambda request, data: request.head(403, Content_Length=0)) as server:
        url = server.url.replace("://", "://me:secret@") + "?token=secret"
        with pytest.raises(BadFile) as caught:
            read_index(url)
    assert "secret" not in str(caught.value)
    with pytest.raises(BadFile) as caught:
        read_index(url)  # nothing listens any more
    assert "secret" not in str(caught.value)


def test_a_file_that_is_not_a_regular_one_of_moderate_size_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with (tmp_path / "large").open("wb") as file:
        file.truncate(2**33)
    for name, said in (("nowhere", "does not exist"), ("", "is a folder"), ("pipe", "is a pipe"), ("large", "at most")):
        with pytest.raises(BadFile, match=said):
            read_index(str(tmp_path / name))
