"""Any change of any file of a checkpoint is found."""

import hashlib
import json
import os
import shutil

import pytest
import torch

from zoo_core.checkpoint import directory as checkpoint
from zoo_core.checkpoint.integrity import read_verified
from zoo_core.checkpoint.retention import Retention
from zoo_core.checkpoint.serialize import pack
from zoo_core.errors import BadFile

FILES = ["SHA256SUMS", "model.safetensors", "state.json"]


@pytest.fixture
def saved(tmp_path):
    return checkpoint.save(
        tmp_path, 8, {"model": pack({"weight": torch.ones(4)}), "seen": pack([1, 2.5])}, Retention(1)
    )


def refused(path):
    """The message for the damaged checkpoint, which names it in one line."""
    with pytest.raises(BadFile) as raised:
        checkpoint.load(path)
    assert str(path) in raised.value.message
    assert "\n" not in raised.value.message
    return raised.value.message


def rewrite(path, text):
    """Replace ``state.json``, and its checksum, as only a program does."""
    (path / "state.json").write_text(text)
    sums = (path / "SHA256SUMS").read_text().splitlines()
    digest = hashlib.sha256((path / "state.json").read_bytes()).hexdigest()
    lines = [f"{digest}  state.json" if line.endswith("  state.json") else line for line in sums]
    (path / "SHA256SUMS").write_text("\n".join(lines) + "\n")


def test_a_whole_checkpoint_passes(saved):
    assert read_verified(saved)["step"] == 8


@pytest.mark.parametrize("name", FILES)
def test_a_flipped_bit_anywhere_is_found(saved, name):
    content = (saved / name).read_bytes()
    for position in range(0, 8 * len(content), 3):
        changed = bytearray(content)
        changed[position // 8] ^= 1 << position % 8
        (saved / name).write_bytes(changed)
        with pytest.raises(BadFile):
            read_verified(saved)
    (saved / name).write_bytes(content)
    read_verified(saved)


@pytest.mark.parametrize("name", FILES)
def test_a_truncation_anywhere_is_found(saved, name):
    content = (saved / name).read_bytes()
    for length in range(0, len(content), 3):
        (saved / name).write_bytes(content[:length])
        with pytest.raises(BadFile):
            read_verified(saved)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize(
    "content",
    [b"", b"\0" * 300, b"\xff\xfe", b"[" * 100_000, b"9" * 100_000, b'{"a": 1, "a": 2}', b"{}", b"null", b"1e999"],
)
def test_other_content_is_found(saved, name, content):
    (saved / name).write_bytes(content)
    refused(saved)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("kind", ["missing", "folder", "pipe", "loop", "dangling link", "device"])
def test_what_is_not_a_file_is_found_and_nothing_hangs(saved, name, kind):
    path = saved / name
    path.unlink()
    {
        "missing": lambda: None,
        "folder": path.mkdir,
        "pipe": lambda: os.mkfifo(path),
        "loop": lambda: path.symlink_to(path),
        "dangling link": lambda: path.symlink_to("nowhere"),
        "device": lambda: path.symlink_to("/dev/zero"),
    }[kind]()
    refused(saved)


def test_files_of_another_step_are_found(saved):
    moved = saved.rename(saved.with_name("step-000000009"))
    assert refused(moved) == f"{moved} is not a complete checkpoint: its files are those of another one, of step 8."


def test_a_checkpoint_that_lost_a_file_with_its_checksum_is_found(saved):
    (saved / "model.safetensors").unlink()
    lines = (saved / "SHA256SUMS").read_text().splitlines(keepends=True)
    (saved / "SHA256SUMS").write_text("".join(line for line in lines if "model" not in line))
    assert "is not a complete checkpoint" in refused(saved)


@pytest.mark.parametrize(
    "text",
    ["", "[]", "5", "{", '{"format": 2}', "[" * 100_000, '{"format": 2, "step": 1e999, "files": [], "held": {}}',
     '{"format": 2, "step": 8, "files": ["model"], "held": []}',
     '{"format": 2, "step": "8", "files": ["model"], "held": {}}',
     '{"format": 2, "step": 8, "files": 5, "held": {}}',
     '{"format": 2, "step": 9, "files": ["model"], "held": {}}'],
)  # fmt: skip
def test_content_that_zoo_never_writes_is_refused_even_with_its_checksum(saved, text):
    rewrite(saved, text)
    refused(saved)


def test_another_format_is_said(saved):
    rewrite(saved, json.dumps({**json.loads((saved / "state.json").read_text()), "format": 3}))
    assert refused(saved) == f"{saved} has format 3, but this version of zoo reads 2."


def test_the_checksums_can_be_verified_by_other_programs(saved):
    if shutil.which("sha256sum") is None:
        pytest.skip("needs sha256sum")
    assert os.system(f"cd '{saved}' && sha256sum --check --strict --quiet SHA256SUMS") == 0  # noqa: S605
