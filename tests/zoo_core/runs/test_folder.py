"""The folder of a run: creating, locking and removing it."""

from __future__ import annotations

import pytest

from zoo_core.errors import BadFile, NameTaken
from zoo_core.runs.folder import RunFolder


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_folder_that_contains_a_run_is_refused_with_the_command_that_resumes_it(tmp_path):
    folder = RunFolder(tmp_path / "run")
    folder.create()
    folder.write_config("run: {}\n")
    with pytest.raises(NameTaken, match="already exists, and a run never overwrites another") as raised:
        folder.create()
    assert raised.value.hint == f"Choose another --folder, or resume the run: zoo run --resume {folder.path}"


def test_a_file_with_the_name_of_the_folder_is_refused(tmp_path):
    (tmp_path / "run").touch()
    with pytest.raises(NameTaken):
        RunFolder(tmp_path / "run").create()
    with pytest.raises(BadFile, match="could not be created: Not a directory"):
        RunFolder(tmp_path / "run" / "inner").create()


def test_the_folder_of_a_run_that_was_killed_before_it_started_can_be_used(tmp_path):
    folder = RunFolder(tmp_path / "run")
    folder.create()
    folder.write_environment({"processes": 1})
    leftovers = (".environment.json.1-0a.part", ".config.yaml.1-0a.part", ".metrics.jsonl.1-0a.part", ".lock")
    for name in leftovers:
        (folder.path / name).touch()
    folder.create()
    with folder.locked():
        assert names_in(folder.path) == [".lock", "environment.json"]


def test_the_lock_is_held_only_inside_the_context(tmp_path):
    folder = RunFolder(tmp_path / "run")
    folder.create()
    assert not folder.is_locked()
    with folder.locked():
        assert folder.is_locked()
        with pytest.raises(NameTaken, match="another process is training in"), RunFolder(folder.path).locked():
            pass
    assert not folder.is_locked()


def test_a_run_that_fails_to_start_leaves_no_folder(tmp_path):
    folder = RunFolder(tmp_path / "runs" / "recipe" / "run")
    folder.create()
    folder.write_environment({})
    folder.write_config("run: {}\n")
    folder.remove_if_empty()
    assert names_in(tmp_path) == []


def test_a_run_that_ends_while_a_file_is_written_leaves_no_folder(tmp_path):
    folder = RunFolder(tmp_path / "runs" / "run")
    folder.create()
    temporary = folder.environment.with_name(f".{folder.environment.name}.1-ab.part")
    temporary.write_text("{")
    folder.remove_if_empty()
    assert names_in(tmp_path) == []


def test_the_files_of_a_run_that_is_there_already_are_not_removed(tmp_path):
    RunFolder(tmp_path).write_config("run: {}\n")
    folder = RunFolder(tmp_path)
    with pytest.raises(NameTaken):
        folder.create()
    folder.remove_if_empty()
    assert names_in(tmp_path) == ["config.yaml"]


def test_files_of_others_are_not_removed(tmp_path):
    folder = RunFolder(tmp_path / "runs" / "run")
    folder.create()
    (folder.path / "notes.txt").touch()
    folder.remove_if_empty()
    assert names_in(folder.path) == ["notes.txt"]


def written_environment(path):
    RunFolder(path).write_environment({"processes": 2, "data": {"fingerprint": "f1"}, "warnings": ["Größe"]})
    return path / "environment.json"


def test_the_environment_is_read_back_as_written(tmp_path):
    written_environment(tmp_path)
    assert RunFolder(tmp_path).read_environment()["warnings"] == ["Größe"]
    assert "sha256" not in RunFolder(tmp_path).read_environment()


def test_a_changed_bit_anywhere_in_the_environment_is_found_or_changes_nothing(tmp_path):
    path = written_environment(tmp_path)
    content, expected = path.read_bytes(), RunFolder(tmp_path).read_environment()
    for position in range(8 * len(content)):
        changed = bytearray(content)
        changed[position // 8] ^= 1 << position % 8
        path.write_bytes(changed)
        try:
            found = RunFolder(tmp_path).read_environment()
        except BadFile:
            continue
        assert found == expected  # such as a space that became a line break


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"{}", b"null", b"\xff", b"[" * 100_000, b'{"a": 1, "a": 1}', b"9" * 9999]
)
def test_a_damaged_environment_is_refused(tmp_path, content):
    written_environment(tmp_path).write_bytes(content)
    with pytest.raises(BadFile, match=r"environment\.json (can't be read|is damaged)"):
        RunFolder(tmp_path).read_environment()


def test_an_environment_that_is_damaged_while_the_run_trains_does_not_end_it(tmp_path):
    folder = RunFolder(tmp_path)
    folder.write_environment({"processes": 2})
    folder.environment.write_text("{")
    assert folder.read_environment() == {"processes": 2}
