"""Fetching published weights: from honest servers, broken ones and hostile ones, all of them on this machine.

Whatever a server does, the model is either the published one, or there is an error and nothing that would load.
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
from weights_server import Server, honest

import zoo_core as zoo
from zoo_core.errors import BadFile, BrokenPlugin
from zoo_core.weights import cache
from zoo_core.weights import download as fetch
from zoo_core.weights.load import load

FOLDER = Path(__file__).parent
LOAD = (
    "import sys; from pathlib import Path; import tiny; from zoo_core.weights.load import load\n"
    "load('my-line', tiny.catalog(Path(sys.argv[1])))"
)


WIDE = 5000  # the published file has 80 kB, so that it comes in several pieces


@pytest.fixture
def tensors():
    torch.manual_seed(0)
    return tiny.Line(tiny.Line.Config(inputs=WIDE)).state_dict()


@pytest.fixture
def published(file, listed, tmp_path, zoo_home, tensors):
    """The published file's bytes, and a way to list it at a location; what is fetched lies in zoo's home alone."""
    path = file(tensors, {"model": "line", "config": {"inputs": WIDE}})

    class Published:
        data = path.read_bytes()
        registry = tmp_path / "listed.yaml"

        def at(self, location, **changes):
            return listed(path, **{"location": location, "size": len(self.data), **changes})

        def entry(self, catalog):
            return catalog.weights.find("my-line")

        def place(self, catalog):
            return cache.place(self.entry(catalog))

        def partial(self, catalog):
            """Where a download that broke off lies; its folder is made."""
            found = zoo_home / "weights" / "partial" / self.place(catalog).name
            found.parent.mkdir(parents=True, exist_ok=True)
            return found

        def is_whole(self, model, tensors):
            return all(torch.equal(model.state_dict()[name], tensor) for name, tensor in tensors.items())

    before = {*tmp_path.rglob("*"), tmp_path / "listed.yaml"}
    yield Published()
    assert set(tmp_path.rglob("*")) <= before, "something was written outside of zoo's home"


@pytest.fixture(autouse=True)
def hurried(monkeypatch):
    monkeypatch.setattr(fetch, "CONNECT_TIMEOUT", 0.5)
    monkeypatch.setattr(fetch, "READ_TIMEOUT", 0.5)
    for name in ("ZOO_OFFLINE", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    path = os.pathsep.join([str(Path(tiny.__file__).parent), str(FOLDER)])
    monkeypatch.setenv("PYTHONPATH", path)


def loadable(zoo_home):
    """Files below zoo's home that would load as weights."""
    found = []
    for path in (zoo_home / "weights").rglob("*"):
        if path.is_file():
            try:
                load(path, tiny.catalog())
            except BadFile:
                continue
            found.append(path)
    return found


def test_what_is_fetched_is_what_was_published_and_is_fetched_once(published, tensors):
    with Server(published.data) as server:
        catalog = published.at(server.url)
        for _ in range(2):
            model, _ = load("my-line", catalog)
            assert published.is_whole(model, tensors)
    assert server.asked == [None]
    assert published.place(catalog).read_bytes() == published.data
    assert not published.partial(catalog).exists()


def test_a_fetched_file_that_was_altered_is_refused_from_then_on(published):
    with Server(published.data) as server:
        catalog = published.at(server.url)
        load("my-line", catalog)
        place = published.place(catalog)
        place.write_bytes(place.read_bytes()[:-1] + b"x")
        for _ in range(2):
            with pytest.raises(BadFile, match=r"has sha256 [0-9a-f]{64}, but should have [0-9a-f]{64}") as refused:
                load("my-line", catalog)
        assert refused.value.hint == "Fetch it anew: zoo weights remove my-line && zoo weights pull my-line"
        cache.remove(published.entry(catalog))
        load("my-line", catalog)
    assert server.asked == [None, None]


def test_a_redirect_is_followed(published):
    def answer(request, data):
        if request.path == "/there/line":
            honest(request, data)
        else:
            request.head(302, Location="there/line")

    with Server(published.data, answer) as server:
        load("my-line", published.at(server.url))
    assert server.paths == ["GET /line.safetensors", "GET /there/line"]


def test_a_download_that_broke_off_is_gone_on_with_where_it_ended(published):
    def breaks_off(request, data):
        request.head(200 if not request.begin else 206, Content_Length=len(data))
        request.body(b"" if request.begin else data[:40_000])

    with Server(published.data, breaks_off) as server:
        catalog = published.at(server.url)
        whole = f"{len(published.data):,}"
        with pytest.raises(BadFile, match=rf"could not be fetched: .* \(32,768 of {whole} bytes are here\)") as broken:
            load("my-line", catalog)
    assert broken.value.hint == "Go on later: zoo weights pull my-line"
    with Server(published.data) as server:
        published.at(server.url)
        load("my-line", tiny.catalog(published.registry))
    assert server.asked == ["bytes=32768-"]
    assert server.sent == len(published.data) - 32768


def test_one_that_breaks_off_again_and_again_is_gone_on_with_at_once(published):
    def in_pieces(request, data):
        rest = data[request.begin :]
        part = {"Content_Range": f"bytes {request.begin}-{len(data) - 1}/{len(data)}"} if request.begin else {}
        request.head(206 if request.begin else 200, Content_Length=len(rest), **part)
        request.body(rest[:33_000])

    with Server(published.data, in_pieces) as server:
        load("my-line", published.at(server.url))
    assert server.asked == [None, "bytes=32768-", "bytes=65536-"]


def whole_again(request, data):
    request.head(200, Content_Length=len(data))
    request.body(data)


def from_elsewhere(request, data):
    if request.begin:
        request.head(206, Content_Range=f"bytes 0-9/{len(data)}", Content_Length=10)
        request.body(data[:10])
    else:
        whole_again(request, data)


def no_parts(request, data):
    if request.begin:
        request.head(416)
    else:
        whole_again(request, data)


@pytest.mark.parametrize(
    ("answer", "asked"),
    [(whole_again, ["bytes=700-"]), (from_elsewhere, ["bytes=700-", None]), (no_parts, ["bytes=700-", None])],
)
def test_a_server_that_gives_no_parts_gives_the_whole(published, answer, asked):
    with Server(published.data, answer) as server:
        catalog = published.at(server.url)
        published.partial(catalog).write_bytes(published.data[:700])
        load("my-line", catalog)
    assert server.asked == asked
    assert published.place(catalog).read_bytes() == published.data


@pytest.mark.parametrize("length", [1, 700, "the same", "more"])
def test_the_beginning_of_another_version_is_thrown_away(published, length):
    size = len(published.data)
    length = {"the same": size, "more": size + 9}.get(length, length)
    with Server(published.data) as server:
        catalog = published.at(server.url)
        published.partial(catalog).write_bytes(b"x" * length)
        load("my-line", catalog)
    assert server.asked[-1] is None
    assert published.place(catalog).read_bytes() == published.data


def test_a_whole_download_that_was_not_put_in_its_place_needs_no_server(published):
    catalog = published.at("http://127.0.0.1:9/line")
    published.partial(catalog).write_bytes(published.data)
    load("my-line", catalog)


def test_a_length_that_is_too_short_does_no_harm_where_the_rest_can_be_had(published):
    def shorter(request, data):
        if request.begin:
            honest(request, data)
        else:
            request.head(200, Content_Length=600)
            request.body(data)

    with Server(published.data, shorter) as server:
        load("my-line", published.at(server.url))
    assert server.asked == [None, "bytes=600-"]


def stops_half_way(request, data):
    request.head(200, Content_Length=len(data))
    request.body(data[: len(data) // 2])


def always_shorter(request, data):
    request.head(200, Content_Length=10)
    request.body(data)


def always_longer(request, data):
    request.head(200, Content_Length=len(data) + 5)
    request.body(data)


def without_end(request, data):
    """More than any socket's buffers hold, and no length."""
    request.head(200)
    for _ in range(10_000):
        request.body(data + bytes(2**16))


def one_byte_more(request, data):
    request.head(200, Content_Length=len(data) + 1)
    request.body(data + b"x")


def other_bytes(request, data):
    request.head(200, Content_Length=len(data))
    request.body(data[:-1] + b"x")


def packed(request, data):
    """A gigabyte of zeros in a megabyte."""
    pack = zlib.compressobj(wbits=31)
    request.head(200, Content_Encoding="gzip")
    for _ in range(1024):
        request.body(pack.compress(bytes(2**20)))
    request.body(pack.flush())


def another_part(request, data):
    request.head(206, Content_Range=f"bytes 50-{len(data) - 1}/{len(data)}", Content_Length=len(data) - 50)
    request.body(data[50:])


def status(number):
    return lambda request, data: request.head(number, Content_Length=0)


def leads_to(location):
    return lambda request, data: request.head(302, Location=location or request.path, Content_Length=0)


def no_http(request, data):
    request.wfile.write(b"\x00\xff" * 1000)


def many_headers(request, data):
    request.head(200, **{f"X-{number}": "x" * 1000 for number in range(1000)})


def never_answers(request, data):
    request.wait()


def falls_silent(request, data):
    request.head(200, Content_Length=len(data))
    request.body(data[:100])
    request.wait()


HOSTILE = {
    "stops half-way": (stops_half_way, r"could not be fetched: .*\([\d,]+ of [\d,]+ bytes are here\)"),
    "gives a tenth as the whole": (always_shorter, r"could not be fetched: the server sent no more \(10 of"),
    "gives more as the whole": (always_longer, r"could not be fetched: IncompleteRead: .*5 more expected"),
    "sends without end": (without_end, r"sends more than the [\d,]+ bytes it should have"),
    "sends one byte more": (one_byte_more, r"sends more than the [\d,]+ bytes it should have"),
    "sends other bytes": (other_bytes, r"has sha256 [0-9a-f]{64}, but should have"),
    "sends what unpacks to a gigabyte": (packed, "is sent compressed, which was not asked for"),
    "sends another part": (another_part, "sends another part than was asked for"),
    "does not have it": (status(404), "answers 404 Not Found"),
    "is broken": (status(500), "answers 500 Internal Server Error"),
    "has no such part": (status(416), "answers 416"),
    "sends nothing": (status(204), "answers 204"),
    "leads to a file": (leads_to("file:///etc/passwd"), r"leads to file:///etc/passwd, which is not https"),
    "leads to http elsewhere": (leads_to("http://192.0.2.1/x"), r"leads to http://192\.0\.2\.1/x, which is not https"),
    "leads to ftp": (leads_to("ftp://127.0.0.1/x"), "which is not https"),
    "leads to no address": (leads_to("http://[/x"), "could not be fetched: "),
    "leads to no host": (leads_to("https://"), "could not be fetched: "),
    "leads to a host of no name": (leads_to(f"https://{'a' * 70}.example/"), "could not be fetched: "),
    "leads to itself": (leads_to(""), "leads on and on to other places"),
    "speaks no http": (no_http, "could not be fetched: BadStatusLine: "),
    "sends headers for ever": (many_headers, "could not be fetched: "),
    "never answers": (never_answers, "could not be fetched: .*timed out"),
    "falls silent": (falls_silent, "could not be fetched: .*timed out"),
}


@pytest.mark.parametrize("begun", [0, 700], ids=["anew", "begun"])
@pytest.mark.parametrize("kind", HOSTILE)
def test_a_server_that(kind, begun, published, zoo_home):
    """… harms nothing: there is an error of three lines at most, and nothing is kept that would load."""
    answer, message = HOSTILE[kind]
    with Server(published.data, answer) as server:
        catalog = published.at(server.url)
        if begun:
            published.partial(catalog).write_bytes(published.data[:begun])
        with pytest.raises(BadFile, match=message) as refused:
            load("my-line", catalog)
        assert server.asked
    assert "weights 'my-line'" in refused.value.message
    assert refused.value.hint
    assert len(str(refused.value)) < 600
    assert len(str(refused.value).splitlines()) <= 3
    assert not published.place(catalog).exists()
    assert not loadable(zoo_home)
    assert server.sent < 2**26  # not all that it would have sent
    with Server(published.data) as server:  # and another time nothing of it is left
        published.at(server.url)
        load("my-line", tiny.catalog(published.registry))


def test_a_server_that_is_not_there(published):
    with Server(b"") as server:
        url = server.url
    with pytest.raises(BadFile, match=r"could not be fetched: .*refused.* \(0 of [\d,]+ bytes are here\)"):
        load("my-line", published.at(url))


@pytest.mark.parametrize(
    "location", ["http://192.0.2.1/line", "http://localhost.example/line", "file:///etc/passwd", "nowhere://line"]
)
def test_locations_that_are_never_asked(published, location):
    with pytest.raises(BadFile, match=r"is not https|no plugin fetches (file|nowhere)://") as refused:
        load("my-line", published.at(location))
    assert "https:// and hf://" in refused.value.hint


def test_the_same_bytes_under_a_wrong_size_are_refused(published):
    with Server(published.data) as server:
        with pytest.raises(BadFile, match="sends more than"):
            load("my-line", published.at(server.url, size=len(published.data) - 1))
        with pytest.raises(BadFile, match="could not be fetched"):
            load("my-line", published.at(server.url, size=len(published.data) + 1))


def test_a_published_file_that_is_not_of_zoo_is_not_kept(published, zoo_home, tmp_path, listed):
    """It is the file that was published, but no weights of a model."""
    other = tmp_path / "line.safetensors"
    data = b"PK\x03\x04" + bytes(96)
    other.write_bytes(data)
    with Server(data) as server:
        catalog = listed(other, location=server.url, size=100)
        with pytest.raises(BadFile, match="is a pickle"):
            load("my-line", catalog)
    assert not loadable(zoo_home)
    assert not published.place(catalog).exists()


# Switched off


@pytest.mark.parametrize("value", ["1", "true", "ON"])
def test_nobody_is_asked_when_fetching_is_switched_off_but_what_is_here_loads(published, monkeypatch, value):
    with Server(published.data) as server:
        catalog = published.at(server.url)
        monkeypatch.setenv("ZOO_OFFLINE", value)
        with pytest.raises(BadFile, match="are not on this machine, and fetching is switched off") as refused:
            load("my-line", catalog)
        assert "Unset ZOO_OFFLINE" in refused.value.hint
        assert server.paths == []
        monkeypatch.setenv("ZOO_OFFLINE", "0")
        monkeypatch.setenv("HF_HUB_OFFLINE", "1")  # says nothing of https
        load("my-line", catalog)
        monkeypatch.setenv("ZOO_OFFLINE", value)
        load("my-line", catalog)
    assert server.paths == ["GET /line.safetensors"]


# Several processes, and processes that die


def child(published, **more):
    return subprocess.Popen([sys.executable, "-c", LOAD, str(published.registry)], **more)


@pytest.mark.slow
def test_of_four_processes_one_fetches_and_all_load(published):
    def slowly(request, data):
        request.wfile.flush()
        time.sleep(0.5)
        honest(request, data)

    with Server(published.data, slowly) as server:
        catalog = published.at(server.url)
        children = [child(published, stderr=subprocess.PIPE, text=True) for _ in range(4)]
        said = [one.communicate(timeout=120)[1] for one in children]
        assert [one.returncode for one in children] == [0, 0, 0, 0], said
    assert server.asked == [None]
    assert published.place(catalog).read_bytes() == published.data


def test_what_a_killed_process_had_is_gone_on_with(file, listed, tmp_path, zoo_home):
    wide = tiny.Line(tiny.Line.Config(inputs=100_000)).state_dict()  # 1.6 MB: written in several pieces
    path = file(wide, {"model": "line", "config": {"inputs": 100_000}})
    data = path.read_bytes()

    def stalls(request, data):
        request.head(200, Content_Length=len(data))
        request.body(data[:1_200_000])
        request.wait()

    with Server(data, stalls) as server:
        catalog = listed(path, location=server.url, size=len(data))
        entry = catalog.weights.find("my-line")
        partial = zoo_home / "weights" / "partial" / cache.place(entry).name
        process = subprocess.Popen([sys.executable, "-c", LOAD, str(tmp_path / "listed.yaml")])
        deadline = time.monotonic() + 60
        while not (partial.is_file() and partial.stat().st_size) and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    begun = partial.stat().st_size
    assert 0 < begun < len(data)
    with Server(data) as server:
        catalog = listed(path, location=server.url, size=len(data))
        model, _ = load("my-line", catalog)
    assert server.asked == [f"bytes={begun}-"]
    assert torch.equal(model.state_dict()["layers.0.weight"], wide["layers.0.weight"])


# A terminal


def test_a_bar_is_drawn_on_a_terminal_and_nowhere_else(published, monkeypatch, capfd):
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


# The disk


def test_a_home_that_cannot_be_written_is_said(published, tmp_path, monkeypatch):
    with Server(published.data) as server:
        catalog = published.at(server.url)
        monkeypatch.setenv("ZOO_HOME", str(tmp_path / "listed.yaml" / "home"))
        with pytest.raises(BadFile, match="can't be written: Not a directory") as refused:
            load("my-line", catalog)
        assert refused.value.hint == "Let ZOO_HOME be a folder of yours."
        assert server.asked == []


def test_a_lock_that_cannot_be_had_is_said(published):
    catalog = published.at("http://127.0.0.1:9/line")
    partial = published.partial(catalog)
    Path(f"{partial}.lock").mkdir()
    with pytest.raises(BadFile, match="can't be written: "):
        load("my-line", catalog)


def test_what_does_not_fit_on_the_disk_is_not_begun(published):
    with Server(published.data) as server:
        with pytest.raises(BadFile, match=r"need 1,000,000,000,000,000 bytes, but .* has room for [\d,]+\.") as refused:
            load("my-line", published.at(server.url, size=10**15))
        assert refused.value.hint.startswith("Make room")
        assert server.asked == []


def test_a_disk_that_fills_up_on_the_way_is_said(published):
    with Server(published.data) as server:
        catalog = published.at(server.url)
        published.partial(catalog).symlink_to("/dev/full")
        with pytest.raises(BadFile, match=r"could not be written to .*: No space left on device") as refused:
            load("my-line", catalog)
    assert refused.value.hint.startswith("Make room")
    assert not published.place(catalog).exists()


def test_a_place_that_is_occupied_is_said(published):
    with Server(published.data) as server:
        catalog = published.at(server.url)
        (published.place(catalog) / "inside").mkdir(parents=True)
        with pytest.raises(BadFile, match=r"could not be written to .*: Is a directory"):
            load("my-line", catalog)


def test_removing_takes_away_the_whole_and_its_beginnings(published):
    catalog = published.at("hf://owner/repo/line.safetensors")
    partial = published.partial(catalog)
    partial.write_bytes(b"x" * 10)
    published.place(catalog).write_bytes(b"x" * 100)
    (fetch.hub_folder(partial) / "deep").mkdir(parents=True)
    assert cache.remove(published.entry(catalog)) == 110
    assert not list(partial.parent.iterdir())
    assert cache.remove(published.entry(catalog)) == 0


# The hub

HUB = """
import sys
from pathlib import Path
import tiny
from zoo_core.errors import BadFile
from zoo_core.weights.store import load
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
    """Answers as the hub does for one repository."""
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


def at_the_hub(published, endpoint, *names, **variables):
    """What loading ``names`` gives in a process for which ``endpoint`` is the hub, a line each."""
    done = subprocess.run(
        [sys.executable, "-c", HUB, str(published.registry), *names],
        env={**os.environ, "HF_ENDPOINT": endpoint, "HF_HOME": str(Path(os.environ["ZOO_HOME"], "hf")), **variables},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return dict(line.split(" ", 1) for line in done.stdout.splitlines())


def several(published, **locations):
    """A registry of weights with these names, locations and, behind a space, sizes."""
    catalog = published.at("hf://owner/repo/line.safetensors")
    sha256 = published.entry(catalog).listed.sha256
    lines = ["weights:"]
    for name, location in locations.items():
        at, _, size = location.partition(" ")
        values = f"location: '{at}', sha256: {sha256}, license: MIT, size: {size or len(published.data)}"
        lines.append(f"  {name}: {{{values}}}")
    published.registry.write_text("\n".join(lines) + "\n")
    return tiny.catalog(published.registry)


def test_the_hub_is_asked_for_files_of_a_repository(published, tensors, zoo_home, monkeypatch):
    with Server(published.data, hub) as server:
        catalog = several(
            published,
            good=f"hf://owner/repo/line.safetensors@{COMMIT}",
            other="hf://owner/repo/deep/other.safetensors",
            longer="hf://owner/repo/line.safetensors 12345",
            missing="hf://owner/repo/nothing.safetensors",
            nowhere="hf://owner/repo/line.safetensors@v7",
            badly="hf://owner/line.safetensors",
        )
        names = ["good", "other", "longer", "missing", "nowhere", "badly"]
        said = at_the_hub(published, server.root, *names)
    assert said["good"] == "loaded"
    assert "has sha256" in said["other"]
    assert f"has {len(published.data):,} bytes, but should have 12,345" in said["longer"]
    for name in ("missing", "nowhere"):
        assert "could not be fetched: the hub answers 404." in said[name]
    assert "should be hf://owner/repo/file@revision" in said["badly"]
    assert cache.place(catalog.weights.find("good")).read_bytes() == published.data
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert published.is_whole(load("good", catalog)[0], tensors)
    assert [path.stem.split(".")[0] for path in loadable(zoo_home)] == ["good"]
    gets = [path for path in server.paths if path.startswith("GET /owner")]
    assert gets == [
        f"GET /owner/repo/resolve/{COMMIT}/line.safetensors",
        "GET /owner/repo/resolve/main/deep/other.safetensors",
    ]


def test_the_hub_may_be_out_of_reach(published):
    several(published, good="hf://owner/repo/line.safetensors")
    with Server(published.data, hub) as server:
        root = server.root
    said = at_the_hub(published, root, "good")
    assert "could not be fetched: " in said["good"]
    assert "refused" in said["good"]
    assert said["good"].endswith("Go on later: zoo weights pull good")


def test_the_hub_is_left_alone_when_fetching_is_switched_off(published):
    several(published, good="hf://owner/repo/line.safetensors")
    with Server(published.data, hub) as server:
        said = at_the_hub(published, server.root, "good", HF_HUB_OFFLINE="1")
    assert "fetching is switched off" in said["good"]
    assert server.paths == []


# A plugin's scheme


def fetching(catalog, implementation):
    plugin = type("Fetcher", (), {"zoo_fetch": zoo.hookimpl(implementation)})()
    catalog.plugins.add("fetcher", plugin)
    return catalog


def test_a_plugin_fetches_from_where_it_knows(published, tensors):
    given = {}

    def zoo_fetch(self, location, destination, size):
        given.update(location=location, size=size)
        destination.write_bytes(published.data)
        return destination

    model, _ = load("my-line", fetching(published.at("tape://shelf/7"), zoo_fetch))
    assert published.is_whole(model, tensors)
    assert given == {"location": "tape://shelf/7", "size": len(published.data)}


def test_a_plugin_is_given_what_it_brought_the_last_time(published):
    def zoo_fetch(self, location, destination):
        if not destination.is_file():
            destination.write_bytes(published.data[:700])
            raise ConnectionError("the tape tore")
        with destination.open("ab") as file:
            file.write(published.data[destination.stat().st_size :])
        return destination

    catalog = fetching(published.at("tape://shelf/7"), zoo_fetch)
    with pytest.raises(
        BrokenPlugin, match="plugin 'fetcher' could not fetch tape://shelf/7: ConnectionError: the tape"
    ):
        load("my-line", catalog)
    load("my-line", catalog)


def test_a_plugin_that_brings_another_file_or_none(published, zoo_home):
    def another(self, location, destination):
        destination.write_bytes(published.data[:-1] + b"x")
        return destination

    def none(self, destination):
        return destination

    def not_its_scheme(self, location):
        return None

    with pytest.raises(BadFile, match=r"tape://shelf/7 has sha256 [0-9a-f]{64}, but should have"):
        load("my-line", fetching(published.at("tape://shelf/7"), another))
    with pytest.raises(BrokenPlugin, match="'fetcher' says that it fetched tape://shelf/7, but there is no"):
        load("my-line", fetching(published.at("tape://shelf/7"), none))
    with pytest.raises(BadFile, match=r"listed\.yaml:2: weights 'my-line': no plugin fetches tape://"):
        load("my-line", fetching(published.at("tape://shelf/7"), not_its_scheme))
    assert not loadable(zoo_home)


def test_of_several_plugins_the_one_that_knows_the_scheme_fetches(published):
    def brings(self, location, destination):
        destination.write_bytes(published.data)
        return destination

    catalog = fetching(published.at("tape://shelf/7"), brings)
    other = type("Other", (), {"zoo_fetch": zoo.hookimpl(lambda self, location: None)})()
    catalog.plugins.add("other", other)
    load("my-line", catalog)
