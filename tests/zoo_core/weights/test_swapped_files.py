"""A file that is replaced between the reads of its header, its hash and its tensors is noticed."""

from __future__ import annotations

import os
import re
import shutil
import threading

import pytest
import tiny
import torch

import zoo_core.weights.format as weights_format
import zoo_core.weights.hashing as hashing
import zoo_core.weights.load as loading
from zoo_core.errors import BadFile
from zoo_core.files import held
from zoo_core.weights.header import read_header
from zoo_core.weights.load import load


def rename(path, other):
    os.replace(other, path)


def overwrite(path, other):
    path.write_bytes(other.read_bytes())


def relink(path, other):
    """Only the folder that a link leads to changes; no file does."""
    link = path.parent
    assert link.is_symlink()
    target = link.resolve()
    link.unlink()
    link.symlink_to(other.parent if target != other.parent else target)


@pytest.fixture
def files(tmp_path, file, tensors):
    """A published file below a link, and another one of the same size and form, with other values."""
    for number, name in enumerate(("good", "evil")):
        (tmp_path / name).mkdir()
        changed = {"layers.0.weight": tensors["layers.0.weight"] + number}
        shutil.move(file(changed, name=f"{name}.safetensors"), tmp_path / name / "line.safetensors")
    (tmp_path / "link").symlink_to(tmp_path / "good")
    return tmp_path / "link" / "line.safetensors", tmp_path / "evil" / "line.safetensors"


def swapping(monkeypatch, module, name, before, swap):
    """Call ``swap`` once, before or after the first call of a function."""
    function, done = getattr(module, name), []

    def called(*arguments, **options):
        if before and not done:
            done.append(swap())
        result = function(*arguments, **options)
        if not done:
            done.append(swap())
        return result

    monkeypatch.setattr(module, name, called)


PLACES = [
    (loading, "read_header", True),
    (loading, "read_header", False),
    (loading, "check", True),
    (loading, "check", False),
    (hashing, "_find_not_finite", True),
    (hashing, "_find_not_finite", False),
    (loading, "read_tensors", True),
    (weights_format, "load_file", True),
]


@pytest.mark.parametrize("swap", [rename, overwrite, relink])
@pytest.mark.parametrize(("module", "name", "before"), PLACES)
def test_what_is_loaded_is_what_was_published_or_nothing(files, listed, monkeypatch, swap, module, name, before):
    path, other = files
    good = load(path, tiny.catalog())[0].layers[0].weight.clone()
    catalog = listed(path)
    swapping(monkeypatch, module, name, before, lambda: swap(path, other))
    refused = None
    try:
        model, _ = load("my-line", catalog)
    except BadFile as error:
        refused = error.message
    assert torch.equal(model.layers[0].weight, good) if refused is None else re.search("replaced|has sha256", refused)


@pytest.mark.parametrize("swap", [rename, overwrite, relink])
def test_a_replacement_before_mapping_is_an_error_for_a_file_without_a_name(files, monkeypatch, swap):
    path, other = files
    swapping(monkeypatch, loading, "read_tensors", True, lambda: swap(path, other))
    with pytest.raises(BadFile, match="was replaced or changed while it was read") as caught:
        load(path, tiny.catalog())
    assert caught.value.hint


def test_a_file_that_is_put_back_is_not_loaded_in_between(files, monkeypatch):
    path, other = files
    link, good = path.parent, path.parent.resolve()
    expected = load(path, tiny.catalog())[0].layers[0].weight.clone()
    load_file = weights_format.load_file

    def called(name, device):
        relink(path, other)
        loaded = load_file(name, device=device)
        link.unlink()
        link.symlink_to(good)
        return loaded

    monkeypatch.setattr(weights_format, "load_file", called)
    assert torch.equal(load(path, tiny.catalog())[0].layers[0].weight, expected)


def test_a_held_file_that_became_a_pipe_does_not_wait(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    waiting = threading.Thread(target=lambda: held(tmp_path / "pipe").__enter__(), daemon=True)
    waiting.start()
    waiting.join(60)
    assert not waiting.is_alive()


def test_a_header_has_the_status_of_its_file(files):
    path, _ = files
    status = path.stat()
    assert read_header(path).status[:3] == (status.st_dev, status.st_ino, status.st_size)
