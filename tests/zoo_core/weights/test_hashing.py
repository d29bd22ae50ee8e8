"""A file is read through once: its SHA-256 is remembered for as long as its size and times stay the same."""

import dataclasses
import hashlib
import json
import os

import pytest
import torch

from zoo_core.weights.hashing import check


@pytest.fixture
def notes(zoo_home):
    return zoo_home / "weights" / "checked"


def forge(notes):
    """Write another sum into the one note there is, so that it can be told from what was read."""
    (note,) = notes.iterdir()
    note.write_text(json.dumps({**json.loads(note.read_text()), "sha256": "remembered"}))


def test_the_sum_is_that_of_the_bytes(file):
    path = file()
    found = check(path)
    assert found.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert (found.size, found.spoilt) == (path.stat().st_size, "")


def test_the_second_time_costs_no_reading(file, notes, tmp_path, monkeypatch):
    path = file()
    first = check(path)
    forge(notes)
    assert check(path) == dataclasses.replace(first, sha256="remembered")
    monkeypatch.chdir(tmp_path)
    assert check(path.relative_to(tmp_path)).sha256 == "remembered"  # by whatever name


def test_one_may_ask_for_it_to_be_read_again(file, notes):
    path = file()
    first = check(path)
    forge(notes)
    assert check(path, again=True) == first
    assert check(path) == first


def test_a_file_that_was_written_to_is_read_anew_though_size_and_modification_time_are_set_back(file, notes):
    path = file()
    first, status = check(path), path.stat()
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (status.st_size, status.st_mtime_ns)
    assert check(path).sha256 == hashlib.sha256(path.read_bytes()).hexdigest() != first.sha256


@pytest.mark.parametrize("text", ["", "{", "[]", '{"size": 1}', '{"size": 1, "sha": 2}', "5"])
def test_a_damaged_note_is_written_anew(file, notes, text):
    path = file()
    first = check(path)
    (note,) = notes.iterdir()
    note.write_text(text)
    assert check(path) == first
    assert json.loads(note.read_text()) == dataclasses.asdict(first)


def test_where_nothing_can_be_remembered_it_is_read_every_time(file, tmp_path, monkeypatch):
    (tmp_path / "occupied").write_text("no folder")
    monkeypatch.setenv("ZOO_HOME", str(tmp_path / "occupied"))
    path = file()
    assert check(path) == check(path)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_a_tensor_that_is_no_number_is_named(file, value):
    spoilt = torch.zeros(1)
    spoilt[0] = value
    assert check(file({"layers.2.bias": spoilt})).spoilt == "layers.2.bias"


def test_what_is_no_safetensors_has_a_sum_and_nothing_else(tmp_path):
    (tmp_path / "text").write_text("hello")
    assert check(tmp_path / "text").sha256 == hashlib.sha256(b"hello").hexdigest()
