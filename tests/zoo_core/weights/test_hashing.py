"""The SHA-256 of a file is computed once and cached while its size and times stay the same."""

import dataclasses
import hashlib
import json
import os

import pytest
import torch

from zoo_core.weights.hashing import check


@pytest.fixture
def cache_folder(zoo_home):
    return zoo_home / "weights" / "checked"


def tamper(cache_folder):
    """Change the cached hash, so that it can be distinguished from a computed one."""
    (cache_file,) = cache_folder.iterdir()
    cache_file.write_text(json.dumps({**json.loads(cache_file.read_text()), "sha256": "cached"}))


def test_the_hash_is_that_of_the_file(file):
    path = file()
    checked = check(path)
    assert checked.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert (checked.size, checked.not_finite) == (path.stat().st_size, [])


def test_the_second_call_does_not_read_the_file(file, cache_folder, tmp_path, monkeypatch):
    path = file()
    first = check(path)
    tamper(cache_folder)
    assert check(path) == dataclasses.replace(first, sha256="cached")
    monkeypatch.chdir(tmp_path)
    assert check(path.relative_to(tmp_path)).sha256 == "cached"  # by another name of the same file


def test_with_again_the_file_is_read_again(file, cache_folder):
    path = file()
    first = check(path)
    tamper(cache_folder)
    assert check(path, again=True) == first
    assert check(path) == first


def test_a_changed_file_is_read_again_even_with_its_old_size_and_modification_time(file, cache_folder):
    path = file()
    first, status = check(path), path.stat()
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (status.st_size, status.st_mtime_ns)
    assert check(path).sha256 == hashlib.sha256(path.read_bytes()).hexdigest() != first.sha256


@pytest.mark.parametrize("text", ["", "{", "[]", "[" * 100_000, '{"size": 1}', '{"size": 1, "sha": 2}', "5"])
def test_a_damaged_cache_file_is_replaced(file, cache_folder, text):
    path = file()
    first = check(path)
    (cache_file,) = cache_folder.iterdir()
    cache_file.write_text(text)
    assert check(path) == first
    assert json.loads(cache_file.read_text()) == dataclasses.asdict(first)


def test_without_a_writable_cache_the_file_is_read_every_time(file, tmp_path, monkeypatch):
    (tmp_path / "occupied").write_text("not a folder")
    monkeypatch.setenv("ZOO_HOME", str(tmp_path / "occupied"))
    path = file()
    assert check(path) == check(path)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_tensors_that_are_not_finite_are_named(file, value):
    names = ["layers.1.running_mean", "layers.2.bias"]
    path = file({"layers.1.running_mean": torch.tensor([1, value, 3, 4]), "layers.2.bias": torch.tensor([value])})
    assert sorted(check(path).not_finite) == names
    assert sorted(check(path).not_finite) == names  # from the cache


def test_a_file_of_another_format_is_hashed(tmp_path):
    (tmp_path / "text").write_text("hello")
    assert check(tmp_path / "text").sha256 == hashlib.sha256(b"hello").hexdigest()
