"""Values computed for each file are computed again exactly when the file changed."""

from __future__ import annotations

import json
import os
import threading
import time

import pytest

from zoo_core.errors import BadFile, ZooError
from zoo_core.fingerprint.per_file import map_files


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Folders with ten files each for the tests of this module, old enough to be trusted later."""
    made = [tmp_path_factory.mktemp("files") for _ in range(30)]
    for folder in made:
        for number in range(10):
            (folder / f"{number}.txt").write_text(f"content {number}")
    time.sleep(2.1)
    return made


@pytest.fixture
def files(folders):
    """The files of a folder that no other test uses."""
    folder = folders.pop()
    return [folder / f"{number}.txt" for number in range(10)]


class Reader:
    """Reads a file and counts what it reads."""

    def __init__(self):
        self.read = []

    def __call__(self, path, stopped):
        self.read.append(path.name)
        return path.read_text()


def run(paths, cache="test-1"):
    reader = Reader()
    return map_files(reader, paths, cache=cache, task="reading"), sorted(reader.read)


def cache_files(home):
    return sorted((home / "cache" / "files").iterdir())


def test_unchanged_files_are_read_once(files, zoo_home):
    expected = [f"content {number}" for number in range(10)]
    assert run(files) == (expected, [path.name for path in files])
    assert run(files) == (expected, [])
    assert run(files[::-1]) == (expected[::-1], [])
    assert run(files, cache="test-2") == (expected, [path.name for path in files])
    assert len(cache_files(zoo_home)) == 2


def test_a_file_of_the_same_size_and_time_of_modification_is_read_again(files):
    run(files)
    before = files[3].stat()
    files[3].write_text("CONTENT 3")
    os.utime(files[3], ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (files[3].stat().st_size, files[3].stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    assert run(files)[0][3] == "CONTENT 3"


def test_a_file_that_replaces_another_is_read_again(files, tmp_path):
    run(files)
    os.replace(files[4], files[5])
    assert run([*files[:4], *files[5:]])[0][4] == "content 4"


def test_a_file_changed_within_two_seconds_is_not_trusted(files):
    files[2].write_text("new text!")
    for _ in range(2):
        assert run(files)[1].count("2.txt") == 1
    future = time.time() + 1000
    os.utime(files[7], (future, future))
    run(files)
    assert "7.txt" in run(files)[1]


@pytest.mark.parametrize("damage", ["empty", "text", "flipped", "truncated", "list", "folder", "binary"])
def test_a_damaged_cache_is_computed_again(files, zoo_home, damage):
    expected, _ = run(files)
    (path,) = cache_files(zoo_home)
    content = path.read_bytes()
    position = content.index(b"content 3")
    damaged = {
        "empty": b"",
        "text": b"not a cache",
        "flipped": content[:position] + b"d" + content[position + 1 :],
        "truncated": content[:-10],
        "list": json.dumps([1]).encode(),
        "binary": bytes(range(256)),
        "folder": b"",
    }[damage]
    path.unlink()
    path.mkdir() if damage == "folder" else path.write_bytes(damaged)
    assert run(files) == (expected, [file.name for file in files])
    if damage != "folder":
        assert run(files) == (expected, [])


def test_files_of_any_name_are_cached(tmp_path, zoo_home):
    paths = [tmp_path / name for name in ("ä.txt", "a b.txt", "a\nb.txt", os.fsdecode(b"\xff.txt"))]
    for path in paths:
        path.write_text("text")
    time.sleep(2.1)
    run(paths)
    assert run(paths) == (["text"] * 4, [])
    paths[0].unlink()
    paths[1].write_text("more")
    run(paths[1:])
    assert "\\u00c3\\u00a4" not in cache_files(zoo_home)[0].read_text()


def test_two_sets_of_files_below_one_folder_share_a_cache(files):
    run(files[:5])
    run(files[5:])
    assert run(files)[1] == []


def test_the_error_of_the_first_bad_file_is_raised(files):
    def refuse(path, stopped):
        number = int(path.stem)
        time.sleep(0.2 if number == 3 else 0)
        if number in (3, 7):
            raise BadFile(f"{path.name} is bad.")
        return number

    with pytest.raises(BadFile, match=r"3\.txt is bad"):
        map_files(refuse, files, cache="bad", task="reading")
    assert run(files)[0][0] == "content 0"


def test_errors_name_the_file(files, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for name, message in {"absent": "does not exist", "pipe": "is a pipe", "": "is a folder"}.items():
        with pytest.raises(BadFile, match=message) as error:
            run([*files, tmp_path / name])
        assert str(tmp_path / name) in error.value.message

    def fails(path, stopped):
        raise OSError(5, "Input/output error")

    with pytest.raises(ZooError, match=r"0\.txt can't be read: Input/output error"):
        map_files(fails, files, cache="io", task="reading")


def test_a_file_that_changes_while_it_is_read_is_an_error(files):
    def grow(path, stopped):
        path.write_text("more than before")
        return 1

    with pytest.raises(BadFile, match=r"0\.txt changed while it was read"):
        map_files(grow, files, cache="growing", task="reading")


def test_an_interrupt_ends_the_computation_and_tells_the_threads(files):
    told = threading.Event()

    def wait(path, stopped):
        if stopped.wait(20):
            told.set()

    timer = threading.Timer(0.5, lambda: os.kill(os.getpid(), 2))
    timer.start()
    begun = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        map_files(wait, files, cache="waiting", task="reading")
    assert time.monotonic() - begun < 5
    assert told.wait(5)


def test_a_cache_that_cannot_be_written_is_no_error(files, zoo_home):
    (zoo_home / "cache").write_text("a file in its place")
    assert run(files)[0] == run(files)[0]


def test_no_files_are_no_values():
    assert run([]) == ([], [])
