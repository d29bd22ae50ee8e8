"""Files are written completely or not at all, whatever happens to the process that writes them."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import textwrap

import pytest

from zoo_core import files

WRITE_AND_DIE = textwrap.dedent(
    """
    import os, signal, sys, time
    from pathlib import Path
    from zoo_core import files

    def die(*arguments):
        os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(60)

    path, moment = Path(sys.argv[1]), sys.argv[2]
    {"sync": lambda: setattr(files, "sync", die), "replace": lambda: setattr(os, "replace", die)}[moment]()
    files.write_atomically(path, "new" * 1000)
    """
)


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize(("content", "expected"), [("Größe\n", "Größe\n".encode()), (b"\x00\xff", b"\x00\xff")])
def test_text_and_bytes_are_written_as_given(tmp_path, content, expected):
    path = tmp_path / "file"
    files.write_atomically(path, content)
    assert path.read_bytes() == expected
    files.write_atomically(path, "again")
    assert path.read_text() == "again"
    assert names_in(tmp_path) == ["file"]


@pytest.mark.parametrize("moment", ["sync", "replace"])
def test_a_kill_before_the_rename_keeps_the_old_content(tmp_path, moment):
    path = tmp_path / "file.json"
    path.write_text("old")
    killed = subprocess.run([sys.executable, "-c", WRITE_AND_DIE, path, moment], timeout=120)
    assert killed.returncode == -signal.SIGKILL
    assert path.read_text() == "old"
    left = [one for one in tmp_path.iterdir() if files.is_temporary(one)]
    assert len(left) == 1

    files.write_atomically(path, "new")
    assert path.read_text() == "new"
    files.remove_leftovers(path)
    assert names_in(tmp_path) == ["file.json"]


def test_what_an_exit_interrupts_is_deleted_but_not_by_a_forked_process(tmp_path):
    program = """
import os, sys
from pathlib import Path
from zoo_core.files import removed_at_exit

place = Path(sys.argv[1])
unfinished = removed_at_exit(place / "folder")
unfinished.__enter__()
(place / "folder").mkdir()
(place / "folder" / "file").touch()
if os.fork() == 0:
    sys.exit()
os.wait()
print((place / "folder").exists())
with removed_at_exit(place / "kept"):
    (place / "kept").touch()
"""
    done = subprocess.run([sys.executable, "-c", program, tmp_path], capture_output=True, text=True, timeout=120)
    assert (done.stdout, done.stderr) == ("True\n", "")
    assert names_in(tmp_path) == ["kept"]


def test_leftovers_of_other_files_are_not_removed(tmp_path):
    kept = [tmp_path / ".other.1-ab.part", tmp_path / "file.part", tmp_path / ".file[1].part"]
    for path in kept:
        path.touch()
    (tmp_path / ".file[1].1-ab.part").touch()
    (tmp_path / ".file[1].1-ab.part.png").touch()
    files.remove_leftovers(tmp_path / "file[1]")
    assert names_in(tmp_path) == sorted(path.name for path in kept)


@pytest.mark.parametrize("function", ["fsync", "replace"])
def test_a_failure_keeps_the_old_content_and_leaves_no_temporary_file(tmp_path, monkeypatch, function):
    path = tmp_path / "file"
    path.write_text("old")

    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, function, full)
    with pytest.raises(OSError, match="No space left on device"):
        files.write_atomically(path, "new")
    assert path.read_text() == "old"
    assert names_in(tmp_path) == ["file"]


def test_an_error_of_the_writer_keeps_the_old_content(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(KeyboardInterrupt), files.replacing(path) as temporary:  # noqa: PT012  # it writes first
        temporary.write_text("half of the n")
        raise KeyboardInterrupt
    assert path.read_text() == "old"
    assert names_in(tmp_path) == ["file"]


def test_two_writers_of_one_file_have_temporary_files_of_their_own(tmp_path):
    path = tmp_path / "file"
    with files.replacing(path) as first, files.replacing(path) as second:
        assert str(os.getpid()) in first.name
        assert first != second
        first.write_text("first")
        second.write_text("second")
    assert path.read_text() == "first"  # the outer block ends last
    assert names_in(tmp_path) == ["file"]


def test_content_is_on_the_disk_before_the_rename_and_the_folder_after_it(tmp_path, monkeypatch):
    path, events = tmp_path / "file", []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda descriptor: (events.append("sync"), fsync(descriptor))[1])
    monkeypatch.setattr(os, "replace", lambda old, new: (events.append("rename"), replace(old, new))[1])
    files.write_atomically(path, "new")
    assert events == ["sync", "rename", "sync"]


def test_a_system_that_cannot_sync_a_folder_is_no_error(tmp_path, monkeypatch):
    def unsupported(descriptor):
        raise OSError(22, "Invalid argument")

    monkeypatch.setattr(os, "fsync", unsupported)
    files.sync(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="Invalid argument"):
        files.sync(tmp_path / "file")


def test_the_checksum_is_that_of_the_content(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"content" * 100_000)
    assert files.sha256_of(path) == hashlib.sha256(b"content" * 100_000).hexdigest()
