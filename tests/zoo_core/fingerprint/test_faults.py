"""Faults of data: raised one by one, or collected."""

from __future__ import annotations

from pathlib import Path

import pytest

from zoo_core.errors import BadFile, ZooError
from zoo_core.fingerprint.faults import collecting_faults, report_fault
from zoo_core.fingerprint.per_file import map_files


def length(path: Path, _stopped: object) -> int:
    text = path.read_text()
    if "bad" in text:
        raise BadFile(f"{path} is bad.", "Write it again.")
    return len(text)


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """Five files, of which the second and the last but one are bad."""
    texts = ["a", "bad", "abc", "bad", "abcde"]
    paths = [tmp_path / f"{number}.txt" for number in range(len(texts))]
    for path, text in zip(paths, texts, strict=True):
        path.write_text(text)
    return paths


def test_a_fault_is_raised_unless_faults_are_collected() -> None:
    with pytest.raises(BadFile, match=r"a\.png is empty"):
        report_fault(BadFile("a.png is empty."))
    with collecting_faults() as faults:
        report_fault(BadFile("a.png is empty."))
        report_fault(BadFile("a.png is empty."))
        report_fault(ZooError("two files differ.", "Use one."), ["b.png", "c.png"])
    assert [(one.message, one.files) for one in faults.found] == [
        ("a.png is empty.", ()),
        ("two files differ.", ("b.png", "c.png")),
    ]


def test_the_error_that_ends_the_work_is_the_last_fault() -> None:
    with collecting_faults() as faults:
        report_fault(BadFile("first."))
        raise ZooError("last.")
    assert [one.message for one in faults.found] == ["first.", "last."]


def test_every_file_that_cannot_be_read_is_a_fault_and_the_others_have_their_values(files: list[Path]) -> None:
    with pytest.raises(BadFile, match=r"1\.txt is bad"):
        map_files(length, files, cache="length", task="reading")
    for _ in range(2):  # computed, and from the cache
        missing = files[0].with_name("missing.txt")
        with collecting_faults() as faults:
            found = map_files(length, [*files, missing], cache="length", task="reading")
            report_fault(BadFile(f"{files[1]} is shorter than {files[2]}."))  # it follows from a bad file
        assert (found[0], found[2], found[4]) == (1, 3, 5)
        assert [one.files for one in faults.found] == [(str(path),) for path in (files[1], files[3], missing)]
        assert len(faults.files) == 6


def test_files_of_which_none_can_be_read_end_the_work(files: list[Path]) -> None:
    with collecting_faults() as faults:
        map_files(length, [files[1], files[3]], cache="length", task="reading")
        report_fault(BadFile("not reached"))
    assert [one.message for one in faults.found] == [f"{files[1]} is bad."]


def test_other_errors_are_raised(files: list[Path]) -> None:
    def fail(path: Path, _stopped: object) -> int:
        raise ValueError(path.name)

    with pytest.raises(ValueError, match="0"), collecting_faults():
        map_files(fail, files, cache="fails", task="reading")
