"""Downloading published weights from local servers: correct, broken and malicious ones.

Whatever a server does, the result is either the published model, or an error and no file that would load.
"""

import os
import pty
import signal
import subprocess
import sys
import time
import zlib
from pathlib import Path

import pytest
import tiny
import torch
from warm_python import PYTHON
from weights_server import Server, serve_file

import zoo_core as zoo
from zoo_core.errors import BadFile, BrokenPlugin
from zoo_core.weights import cache, download
from zoo_core.weights.load import load

FOLDER = Path(__file__).parent
LOAD = (
    "import sys; from pathlib import Path; import tiny; from zoo_core.weights.load import load\n"
    "load('my-line', tiny.catalog(Path(sys.argv[1])))"
)


WIDE = 5000  # the published file has 80 kB, so that it comes in list_weights pieces


@pytest.fixture
def tensors():
    torch.manual_seed(0)
    return tiny.Line(tiny.Line.Config(inputs=WIDE)).state_dict()


@pytest.fixture
def published(file, listed, tmp_path, zoo_home, tensors):
    """A published file, with methods to list it at a location; checks that downloads are written to ZOO_HOME only."""
    path = file(tensors, {"model": "line", "config": {"inputs": WIDE}})

    class Published:
        data = path.read_bytes()
        registry = tmp_path / "listed.yaml"

        def at(self, location, **changes):
            return listed(path, **{"location": location, "size": len(self.data), **changes})

        def entry(self, catalog):
            return catalog.weights.find("my-line")

        def local_path(self, catalog):
            return cache.local_path(self.entry(catalog))

        def partial(self, catalog):
            """The path of a partial download; its folder is created."""
            path = zoo_home / "weights" / "partial" / self.local_path(catalog).name
            path.parent.mkdir(parents=True, exist_ok=True)
            return path

        def matches(self, model, tensors):
            return all(torch.equal(model.state_dict()[name], tensor) for name, tensor in tensors.items())

    before = {*tmp_path.rglob("*"), tmp_path / "listed.yaml"}
    yield Published()
    assert set(tmp_path.rglob("*")) <= before, "a file was written outside of ZOO_HOME"


@pytest.fixture(autouse=True)
def short_timeouts(monkeypatch):
    monkeypatch.setattr(download, "CONNECT_TIMEOUT", 0.5)
    monkeypatch.setattr(download, "READ_TIMEOUT", 0.5)
    for name in ("ZOO_OFFLINE", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    path = os.pathsep.join([str(Path(tiny.__file__).parent), str(FOLDER)])
    monkeypatch.setenv("PYTHONPATH", path)


def loadable(zoo_home):
    """Files in ZOO_HOME that would load as weights."""
    found = []
    for path in (zoo_home / "weights").rglob("*"):
        if path.is_file():
            try:
                load(path, tiny.catalog())
            except BadFile:
                continue
            found.append(path)
    return found


def test_weights_are_downloaded_once(published, tensors):
    with Server(published.data) as server:
        catalog = published.at(server.url)
        for _ in range(2):
            model, _ = load("my-line", catalog)
            assert published.matches(model, tensors)
    assert server.ranges == [None]
    assert published.local_path(catalog).read_bytes() == published.data
    assert not published.partial(catalog).exists()


def test_a_downloaded_file_that_was_modified_is_refused(published):
    with Server(published.data) as server:
        catalog = published.at(server.url)
        load("my-line", catalog)
        local_path = published.local_path(catalog)
        local_path.write_bytes(local_path.read_bytes()[:-1] + b"x")
        for _ in range(2):
            with pytest.raises(BadFile, match=r"has sha256 [0-9a-f]{64}, but should have [0-9a-f]{64}") as refused:
                load("my-line", catalog)
        assert refused.value.hint == "Download it again: zoo weights remove my-line && zoo weights pull my-line"
        cache.remove(published.entry(catalog))
        load("my-line", catalog)
    assert server.ranges == [None, None]


def test_a_redirect_is_followed(published):
    def answer(request, data):
        if request.path == "/there/line":
            serve_file(request, data)
        else:
            request.head(302, Location="there/line")

    with Server(published.data, answer) as server:
        load("my-line", published.at(server.url))
    assert server.paths == ["GET /line.safetensors", "GET /there/line"]


def test_an_interrupted_download_is_resumed(published):
    def break_off(request, data):
        request.head(200 if not request.begin else 206, Content_Length=len(data))
        request.body(b"" if request.begin else data[:40_000])

    with Server(published.data, break_off) as server:
        catalog = published.at(server.url)
        total = f"{len(published.data):,}"
        with pytest.raises(BadFile, match=rf"could not be fetched: .* \(32,768 of {total} bytes received\)") as broken:
            load("my-line", catalog)
    assert broken.value.hint == "Resume later: zoo weights pull my-line"
    with Server(published.data) as server:
        published.at(server.url)
        load("my-line", tiny.catalog(published.registry))
    assert server.ranges == ["bytes=32768-"]
    assert server.sent == len(published.data) - 32768


def test_a_download_is_resumed_at_once_while_it_makes_progress(published):
    def in_pieces(request, data):
        rest = data[request.begin :]
        part = {"Content_Range": f"bytes {request.begin}-{len(data) - 1}/{len(data)}"} if request.begin else {}
        request.head(206 if request.begin else 200, Content_Length=len(rest), **part)
        request.body(rest[:33_000])

    with Server(published.data, in_pieces) as server:
        load("my-line", published.at(server.url))
    assert server.ranges == [None, "bytes=32768-", "bytes=65536-"]


def restart_from_zero(request, data):
    request.head(200, Content_Length=len(data))
    request.body(data)


def wrong_range(request, data):
    if request.begin:
        request.head(206, Content_Range=f"bytes 0-9/{len(data)}", Content_Length=10)
        request.body(data[:10])
    else:
        restart_from_zero(request, data)


def range_not_satisfiable(request, data):
    if request.begin:
        request.head(416)
    else:
        restart_from_zero(request, data)


@pytest.mark.parametrize(
    ("answer", "ranges"),
    [
        (restart_from_zero, ["bytes=700-"]),
        (wrong_range, ["bytes=700-", None]),
        (range_not_satisfiable, ["bytes=700-", None]),
    ],
)
def test_without_support_for_ranges_the_download_starts_again(published, answer, ranges):
    with Server(published.data, answer) as server:
        catalog = published.at(server.url)
        published.partial(catalog).write_bytes(published.data[:700])
        load("my-line", catalog)
    assert server.ranges == ranges
    assert published.local_path(catalog).read_bytes() == published.data


@pytest.mark.parametrize("length", [1, 700, "same", "longer"])
def test_a_partial_file_of_another_version_is_discarded(published, length):
    size = len(published.data)
    length = {"same": size, "longer": size + 9}.get(length, length)
    with Server(published.data) as server:
        catalog = published.at(server.url)
        published.partial(catalog).write_bytes(b"x" * length)
        load("my-line", catalog)
    assert server.ranges[-1] is None
    assert published.local_path(catalog).read_bytes() == published.data


def test_a_complete_partial_file_needs_no_server(published):
    catalog = published.at("http://127.0.0.1:9/line")
    published.partial(catalog).write_bytes(published.data)
    load("my-line", catalog)


def test_a_content_length_that_is_too_short_is_followed_by_a_range_request(published):
    def claim_600_bytes(request, data):
        if request.begin:
            serve_file(request, data)
        else:
            request.head(200, Content_Length=600)
            request.body(data)

    with Server(published.data, claim_600_bytes) as server:
        load("my-line", published.at(server.url))
    assert server.ranges == [None, "bytes=600-"]


def stop_halfway(request, data):
    request.head(200, Content_Length=len(data))
    request.body(data[: len(data) // 2])


def claim_a_short_length(request, data):
    request.head(200, Content_Length=10)
    request.body(data)


def claim_a_long_length(request, data):
    request.head(200, Content_Length=len(data) + 5)
    request.body(data)


def endless_body(request, data):
    """More than any socket buffer holds, without a length."""
    request.head(200)
    for _ in range(10_000):
        request.body(data + bytes(2**16))


def one_extra_byte(request, data):
    request.head(200, Content_Length=len(data) + 1)
    request.body(data + b"x")


def corrupt_bytes(request, data):
    request.head(200, Content_Length=len(data))
    request.body(data[:-1] + b"x")


def gzip_bomb(request, data):
    """A gigabyte of zeros in a megabyte."""
    pack = zlib.compressobj(wbits=31)
    request.head(200, Content_Encoding="gzip")
    for _ in range(1024):
        request.body(pack.compress(bytes(2**20)))
    request.body(pack.flush())


def unrequested_range(request, data):
    request.head(206, Content_Range=f"bytes 50-{len(data) - 1}/{len(data)}", Content_Length=len(data) - 50)
    request.body(data[50:])


def status(number):
    return lambda request, data: request.head(number, Content_Length=0)


def redirect_to(location):
    return lambda request, data: request.head(302, Location=location or request.path, Content_Length=0)


def not_http(request, data):
    request.wfile.write(b"\x00\xff" * 1000)


def many_headers(request, data):
    request.head(200, **{f"X-{number}": "x" * 1000 for number in range(1000)})


def never_respond(request, data):
    request.wait()


def stall(request, data):
    request.head(200, Content_Length=len(data))
    request.body(data[:100])
    request.wait()


MISBEHAVIOR = {
    "stops halfway": (stop_halfway, r"could not be fetched: .*\([\d,]+ of [\d,]+ bytes received\)"),
    "claims a short length": (claim_a_short_length, r"could not be fetched: the server sent no more data \(10 of"),
    "claims a long length": (claim_a_long_length, r"could not be fetched: IncompleteRead: .*5 more expected"),
    "sends without end": (endless_body, r"sends more than the listed size of [\d,]+ bytes"),
    "sends one extra byte": (one_extra_byte, r"sends more than the listed size of [\d,]+ bytes"),
    "sends corrupt bytes": (corrupt_bytes, r"has sha256 [0-9a-f]{64}, but should have"),
    "sends a gzip bomb": (gzip_bomb, "is sent compressed, which was not requested"),
    "sends an unrequested range": (unrequested_range, "returned another range than requested"),
    "does not have it": (status(404), "returned 404 Not Found"),
    "is broken": (status(500), "returned 500 Internal Server Error"),
    "cannot satisfy the range": (status(416), "returned 416"),
    "sends nothing": (status(204), "returned 204"),
    "redirects to a file": (redirect_to("file:///etc/passwd"), r"redirects to file:///etc/passwd, which is not https"),
    "redirects to http elsewhere": (
        redirect_to("http://192.0.2.1/x"),
        r"redirects to http://192\.0\.2\.1/x, which is not https",
    ),
    "redirects to ftp": (redirect_to("ftp://127.0.0.1/x"), "which is not https"),
    "redirects to an invalid address": (redirect_to("http://[/x"), "could not be fetched: "),
    "redirects to no host": (redirect_to("https://"), "could not be fetched: "),
    "redirects to an invalid host name": (redirect_to(f"https://{'a' * 70}.example/"), "could not be fetched: "),
    "redirects to itself": (redirect_to(""), "redirects more than 5 times"),
    "does not speak http": (not_http, "could not be fetched: BadStatusLine: "),
    "sends too many headers": (many_headers, "could not be fetched: "),
    "never responds": (never_respond, "could not be fetched: .*timed out"),
    "stalls": (stall, "could not be fetched: .*timed out"),
}


@pytest.mark.parametrize("partial_length", [0, 700], ids=["from the start", "resumed"])
@pytest.mark.parametrize("kind", MISBEHAVIOR)
def test_a_misbehaving_server_causes_an_error_and_leaves_no_file(kind, partial_length, published, zoo_home):
    """The error has three lines at most, and a later download from a correct server succeeds."""
    answer, message = MISBEHAVIOR[kind]
    with Server(published.data, answer) as server:
        catalog = published.at(server.url)
        if partial_length:
            published.partial(catalog).write_bytes(published.data[:partial_length])
        with pytest.raises(BadFile, match=message) as refused:
            load("my-line", catalog)
        assert server.ranges
    assert "weights 'my-line'" in refused.value.message
    assert refused.value.hint
    assert len(str(refused.value)) < 600
    assert len(str(refused.value).splitlines()) <= 3
    assert not published.local_path(catalog).exists()
    assert not loadable(zoo_home)
    assert server.sent < 2**26  # not all that it would have sent
    with Server(published.data) as server:  # the next download succeeds
        published.at(server.url)
        load("my-line", tiny.catalog(published.registry))


def test_a_server_that_is_not_running_is_an_error(published):
    with Server(b"") as server:
        url = server.url
    with pytest.raises(BadFile, match=r"could not be fetched: .*refused.* \(0 of [\d,]+ bytes received\)"):
        load("my-line", published.at(url))


@pytest.mark.parametrize(
    "location", ["http://192.0.2.1/line", "http://localhost.example/line", "file:///etc/passwd", "nowhere://line"]
)
def test_unsafe_and_unknown_schemes_are_refused(published, location):
    with pytest.raises(BadFile, match=r"is not https|no plugin fetches (file|nowhere)://") as refused:
        load("my-line", published.at(location))
    assert "https:// and hf://" in refused.value.hint


def test_a_file_whose_size_differs_from_the_listed_one_is_refused(published):
    with Server(published.data) as server:
        with pytest.raises(BadFile, match="sends more than"):
            load("my-line", published.at(server.url, size=len(published.data) - 1))
        with pytest.raises(BadFile, match="could not be fetched"):
            load("my-line", published.at(server.url, size=len(published.data) + 1))


def test_a_published_file_that_is_not_a_weights_file_is_not_kept(published, zoo_home, tmp_path, listed):
    """Its SHA-256 and size are as listed, but it is a pickle."""
    other = tmp_path / "line.safetensors"
    data = b"PK\x03\x04" + bytes(96)
    other.write_bytes(data)
    with Server(data) as server:
        catalog = listed(other, location=server.url, size=100)
        with pytest.raises(BadFile, match="is a pickle"):
            load("my-line", catalog)
    assert not loadable(zoo_home)
    assert not published.local_path(catalog).exists()


# Downloads disabled


@pytest.mark.parametrize("value", ["1", "true", "ON"])
def test_with_downloads_disabled_local_weights_load_and_others_are_refused(published, monkeypatch, value):
    with Server(published.data) as server:
        catalog = published.at(server.url)
        monkeypatch.setenv("ZOO_OFFLINE", value)
        with pytest.raises(BadFile, match="are not on this machine, and downloads are disabled") as refused:
            load("my-line", catalog)
        assert "Unset ZOO_OFFLINE" in refused.value.hint
        assert server.paths == []
        monkeypatch.setenv("ZOO_OFFLINE", "0")
        monkeypatch.setenv("HF_HUB_OFFLINE", "1")  # does not apply to https
        load("my-line", catalog)
        monkeypatch.setenv("ZOO_OFFLINE", value)
        load("my-line", catalog)
    assert server.paths == ["GET /line.safetensors"]


# Several processes and killed processes


def start_loading(published, **options):
    return subprocess.Popen([PYTHON, "-c", LOAD, str(published.registry)], **options)


def test_of_four_processes_one_downloads_and_all_load(published):
    def serve_slowly(request, data):
        request.wfile.flush()
        time.sleep(0.5)
        serve_file(request, data)

    with Server(published.data, serve_slowly) as server:
        catalog = published.at(server.url)
        children = [start_loading(published, stderr=subprocess.PIPE, text=True) for _ in range(4)]
        outputs = [one.communicate(timeout=120)[1] for one in children]
        assert [one.returncode for one in children] == [0, 0, 0, 0], outputs
    assert server.ranges == [None]
    assert published.local_path(catalog).read_bytes() == published.data


def test_the_download_of_a_killed_process_is_resumed(file, listed, tmp_path, zoo_home):
    wide = tiny.Line(tiny.Line.Config(inputs=100_000)).state_dict()  # 1.6 MB: written in list_weights pieces
    path = file(wide, {"model": "line", "config": {"inputs": 100_000}})
    data = path.read_bytes()

    def send_most_and_stall(request, data):
        request.head(200, Content_Length=len(data))
        request.body(data[:1_200_000])
        request.wait()

    with Server(data, send_most_and_stall) as server:
        catalog = listed(path, location=server.url, size=len(data))
        entry = catalog.weights.find("my-line")
        partial = zoo_home / "weights" / "partial" / cache.local_path(entry).name
        process = subprocess.Popen([sys.executable, "-c", LOAD, str(tmp_path / "listed.yaml")])
        deadline = time.monotonic() + 60
        while not (partial.is_file() and partial.stat().st_size) and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    partial_length = partial.stat().st_size
    assert 0 < partial_length < len(data)
    with Server(data) as server:
        catalog = listed(path, location=server.url, size=len(data))
        model, _ = load("my-line", catalog)
    assert server.ranges == [f"bytes={partial_length}-"]
    assert torch.equal(model.state_dict()["layers.0.weight"], wide["layers.0.weight"])


# Progress bar


def test_a_progress_bar_is_drawn_in_a_terminal_only(published, monkeypatch, capfd):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    ours, theirs = pty.openpty()
    with Server(published.data) as server:
        catalog = published.at(server.url)
        with os.fdopen(theirs, "w") as terminal, monkeypatch.context() as patch:
            patch.setattr(sys, "stderr", terminal)
            load("my-line", catalog)
            terminal.flush()
            os.set_blocking(ours, False)
            shown = os.read(ours, 2**16).decode()
        os.close(ours)
        assert "my-line" in shown
        assert "━━━" in shown
        assert f"{len(published.data) / 1000:.1f}" in shown
        cache.remove(published.entry(catalog))
        load("my-line", catalog)
    assert capfd.readouterr() == ("", "")


# Disk errors


def test_a_home_that_is_not_writable_is_an_error(published, tmp_path, monkeypatch):
    with Server(published.data) as server:
        catalog = published.at(server.url)
        monkeypatch.setenv("ZOO_HOME", str(tmp_path / "listed.yaml" / "home"))
        with pytest.raises(BadFile, match="can't be written: Not a directory") as refused:
            load("my-line", catalog)
        assert refused.value.hint == "Set ZOO_HOME to a folder that you can write to."
        assert server.ranges == []


def test_a_lock_file_that_cannot_be_created_is_an_error(published):
    catalog = published.at("http://127.0.0.1:9/line")
    partial = published.partial(catalog)
    Path(f"{partial}.lock").mkdir()
    with pytest.raises(BadFile, match="can't be written: "):
        load("my-line", catalog)


def test_a_download_that_does_not_fit_on_the_disk_is_not_started(published):
    with Server(published.data) as server:
        with pytest.raises(
            BadFile, match=r"need 1,000,000,000,000,000 bytes, but .* has [\d,]+ bytes of free space\."
        ) as refused:
            load("my-line", published.at(server.url, size=10**15))
        assert refused.value.hint.startswith("Free disk space")
        assert server.ranges == []


def test_a_disk_that_becomes_full_is_an_error(published):
    with Server(published.data) as server:
        catalog = published.at(server.url)
        published.partial(catalog).symlink_to("/dev/full")
        with pytest.raises(BadFile, match=r"could not be written to .*: No space left on device") as refused:
            load("my-line", catalog)
    assert refused.value.hint.startswith("Free disk space")
    assert not published.local_path(catalog).exists()


def test_a_folder_at_the_path_of_the_file_is_an_error(published):
    with Server(published.data) as server:
        catalog = published.at(server.url)
        (published.local_path(catalog) / "inside").mkdir(parents=True)
        with pytest.raises(BadFile, match=r"could not be written to .*: Is a directory"):
            load("my-line", catalog)


def test_remove_deletes_complete_and_partial_files(published):
    catalog = published.at("hf://owner/repo/line.safetensors")
    partial = published.partial(catalog)
    partial.write_bytes(b"x" * 10)
    published.local_path(catalog).write_bytes(b"x" * 100)
    (download.hub_folder(partial) / "deep").mkdir(parents=True)
    assert cache.remove(published.entry(catalog)) == 110
    assert not list(partial.parent.iterdir())
    assert cache.remove(published.entry(catalog)) == 0


# The hub

HUB = """
import sys
from pathlib import Path
import tiny
from zoo_core.errors import BadFile
from zoo_core.weights.load import load
catalog = tiny.catalog(Path(sys.argv[1]))
for name in sys.argv[2:]:
    try:
        load(name, catalog)
        print(name, "loaded")
    except BadFile as error:
        print(name, *str(error).splitlines())
"""
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def hub(request, data):
    """Answers like the Hugging Face Hub for one repository."""
    if not request.path.startswith("/owner/repo/resolve/"):
        return request.head(404, Content_Length=0)
    _, _, _, _, revision, file = request.path.split("/", 5)
    if revision not in ("main", COMMIT) or file not in ("line.safetensors", "deep/other.safetensors"):
        return request.head(404, X_Error_Code="EntryNotFound", X_Repo_Commit=COMMIT, Content_Length=0)
    data = data if file == "line.safetensors" else data[:-1] + b"x"
    request.head(200, ETag=f'"{zlib.crc32(data)}"', X_Repo_Commit=COMMIT, Content_Length=len(data))
    if request.command == "GET":
        request.body(data)
    return None


def load_from_hub(published, endpoint, *names, **variables):
    """Load ``names`` in a process that uses ``endpoint`` as the hub; the result of each by name."""
    done = subprocess.run(
        [sys.executable, "-c", HUB, str(published.registry), *names],
        env={**os.environ, "HF_ENDPOINT": endpoint, "HF_HOME": str(Path(os.environ["ZOO_HOME"], "hf")), **variables},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return dict(line.split(" ", 1) for line in done.stdout.splitlines())


def list_weights(published, **locations):
    """A catalog of weights with these names and locations, each followed by a space and its size if that is wrong."""
    catalog = published.at("hf://owner/repo/line.safetensors")
    sha256 = published.entry(catalog).listed.sha256
    lines = ["weights:"]
    for name, location in locations.items():
        url, _, size = location.partition(" ")
        values = f"location: '{url}', sha256: {sha256}, license: MIT, size: {size or len(published.data)}"
        lines.append(f"  {name}: {{{values}}}")
    published.registry.write_text("\n".join(lines) + "\n")
    return tiny.catalog(published.registry)


def test_files_are_downloaded_from_the_hub(published, tensors, zoo_home, monkeypatch):
    with Server(published.data, hub) as server:
        catalog = list_weights(
            published,
            good=f"hf://owner/repo/line.safetensors@{COMMIT}",
            other="hf://owner/repo/deep/other.safetensors",
            longer="hf://owner/repo/line.safetensors 12345",
            missing="hf://owner/repo/nothing.safetensors",
            unknown_revision="hf://owner/repo/line.safetensors@v7",
            malformed="hf://owner/line.safetensors",
        )
        names = ["good", "other", "longer", "missing", "unknown_revision", "malformed"]
        outputs = load_from_hub(published, server.root, *names)
    assert outputs["good"] == "loaded"
    assert "has sha256" in outputs["other"]
    assert f"has {len(published.data):,} bytes, but should have 12,345" in outputs["longer"]
    for name in ("missing", "unknown_revision"):
        assert "could not be fetched: the hub returned 404." in outputs[name]
    assert "should be hf://owner/repo/file@revision" in outputs["malformed"]
    assert cache.local_path(catalog.weights.find("good")).read_bytes() == published.data
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert published.matches(load("good", catalog)[0], tensors)
    assert [path.stem.split(".")[0] for path in loadable(zoo_home)] == ["good"]
    gets = [path for path in server.paths if path.startswith("GET /owner")]
    assert gets == [
        f"GET /owner/repo/resolve/{COMMIT}/line.safetensors",
        "GET /owner/repo/resolve/main/deep/other.safetensors",
    ]


def test_an_unreachable_hub_is_an_error(published):
    list_weights(published, good="hf://owner/repo/line.safetensors")
    with Server(published.data, hub) as server:
        root = server.root
    outputs = load_from_hub(published, root, "good")
    assert "could not be fetched: " in outputs["good"]
    assert "refused" in outputs["good"]
    assert outputs["good"].endswith("Resume later: zoo weights pull good")


def test_the_hub_is_not_contacted_with_downloads_disabled(published):
    list_weights(published, good="hf://owner/repo/line.safetensors")
    with Server(published.data, hub) as server:
        outputs = load_from_hub(published, server.root, "good", HF_HUB_OFFLINE="1")
    assert "downloads are disabled" in outputs["good"]
    assert server.paths == []


# Schemes of plugins


def with_fetcher(catalog, implementation):
    plugin = type("Fetcher", (), {"zoo_fetch": zoo.hookimpl(implementation)})()
    catalog.plugins.add("fetcher", plugin)
    return catalog


def test_a_plugin_downloads_from_its_own_scheme(published, tensors):
    received = {}

    def zoo_fetch(self, location, destination, size):
        received.update(location=location, size=size)
        destination.write_bytes(published.data)
        return destination

    model, _ = load("my-line", with_fetcher(published.at("tape://shelf/7"), zoo_fetch))
    assert published.matches(model, tensors)
    assert received == {"location": "tape://shelf/7", "size": len(published.data)}


def test_a_plugin_can_resume_a_download(published):
    def zoo_fetch(self, location, destination):
        if not destination.is_file():
            destination.write_bytes(published.data[:700])
            raise ConnectionError("the tape broke")
        with destination.open("ab") as file:
            file.write(published.data[destination.stat().st_size :])
        return destination

    catalog = with_fetcher(published.at("tape://shelf/7"), zoo_fetch)
    with pytest.raises(
        BrokenPlugin, match="plugin 'fetcher' could not fetch tape://shelf/7: ConnectionError: the tape"
    ):
        load("my-line", catalog)
    load("my-line", catalog)


def test_a_plugin_that_downloads_another_file_or_none_is_an_error(published, zoo_home):
    def corrupt(self, location, destination):
        destination.write_bytes(published.data[:-1] + b"x")
        return destination

    def none(self, destination):
        return destination

    def not_its_scheme(self, location):
        return None

    with pytest.raises(BadFile, match=r"tape://shelf/7 has sha256 [0-9a-f]{64}, but should have"):
        load("my-line", with_fetcher(published.at("tape://shelf/7"), corrupt))
    with pytest.raises(BrokenPlugin, match=r"'fetcher' reported that it fetched tape://shelf/7, but .* does not exist"):
        load("my-line", with_fetcher(published.at("tape://shelf/7"), none))
    with pytest.raises(BadFile, match=r"listed\.yaml:2: weights 'my-line': no plugin fetches tape://"):
        load("my-line", with_fetcher(published.at("tape://shelf/7"), not_its_scheme))
    assert not loadable(zoo_home)


def test_of_several_plugins_the_one_that_handles_the_scheme_downloads(published):
    def zoo_fetch(self, location, destination):
        destination.write_bytes(published.data)
        return destination

    catalog = with_fetcher(published.at("tape://shelf/7"), zoo_fetch)
    other = type("Other", (), {"zoo_fetch": zoo.hookimpl(lambda self, location: None)})()
    catalog.plugins.add("other", other)
    load("my-line", catalog)
