"""Checkpoints: whole or not at all, and never read when altered."""

import json
import signal
import subprocess
import sys
import textwrap

import pytest
import torch

from zoo_core.checkpoint import directory as checkpoint
from zoo_core.checkpoint.serialize import pack
from zoo_core.errors import BadFile


def state(value):
    return {"model": pack({"weight": torch.full((4,), float(value))}), "seen": pack(value), "pair": pack((1, value))}


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_checkpoint_is_read_as_it_was_written(tmp_path):
    path = checkpoint.save(tmp_path, 7, state(3), keep=2)
    assert path == tmp_path / "step-000000007"
    assert names_in(path) == ["model.safetensors", "state.json"]
    step, captured = checkpoint.load(path)
    assert step == 7
    assert captured.keys() == {"model", "seen", "pair"}
    assert captured["model"][0]["weight"].tolist() == [3.0] * 4
    assert captured["seen"] == ({}, 3)


def test_tensors_that_share_memory_are_kept(tmp_path):
    whole = torch.arange(6.0)
    path = checkpoint.save(tmp_path, 1, {"held": pack([whole, whole[2:4], whole.view(2, 3).T])}, keep=1)
    tensors = list(checkpoint.load(path)[1]["held"][0].values())
    assert [tensor.tolist() for tensor in tensors] == [
        whole.tolist(), [2.0, 3.0], [[0.0, 3.0], [1.0, 4.0], [2.0, 5.0]],
    ]  # fmt: skip


def test_only_the_newest_are_kept(tmp_path):
    for step in (10, 20, 30, 1000000000 - 1):
        checkpoint.save(tmp_path, step, state(step), keep=2)
    assert names_in(tmp_path) == ["step-000000030", "step-999999999"]


def test_a_new_checkpoint_is_kept_even_beside_newer_damaged_ones(tmp_path):
    checkpoint.save(tmp_path, 20, state(20), keep=2)
    damaged = checkpoint.save(tmp_path, 30, state(30), keep=2)
    (damaged / "state.json").write_text("{")
    checkpoint.save(tmp_path, 25, state(25), keep=1)
    assert checkpoint.load_newest(tmp_path)[0] == 25


def test_one_step_may_be_saved_again(tmp_path):
    checkpoint.save(tmp_path, 5, state(1), keep=2)
    checkpoint.save(tmp_path, 5, state(2), keep=2)
    assert names_in(tmp_path) == ["step-000000005"]
    assert checkpoint.load_newest(tmp_path)[1]["seen"] == ({}, 2)


def spoil_a_tensor(path):
    file = path / "model.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    return r"model\.safetensors is damaged"


def cut_a_file(path):
    file = path / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-4])
    return r"model\.safetensors is damaged"


def drop_a_file(path):
    (path / "model.safetensors").unlink()
    return "is no whole checkpoint"


def tamper_with_a_hash(path):
    told = json.loads((path / "state.json").read_text())
    told["files"]["model"] = "0" * 64
    (path / "state.json").write_text(json.dumps(told))
    return r"model\.safetensors is damaged"


def cut_the_state(path):
    (path / "state.json").write_text((path / "state.json").read_text()[:20])
    return "is no whole checkpoint"


def empty_the_state(path):
    (path / "state.json").write_text("[]")
    return "is no whole checkpoint"


def come_from_the_future(path):
    told = json.loads((path / "state.json").read_text())
    (path / "state.json").write_text(json.dumps({**told, "format": 2}))
    return "has format 2, but this zoo reads 1"


@pytest.mark.parametrize(
    "damage",
    [
        spoil_a_tensor,
        cut_a_file,
        drop_a_file,
        tamper_with_a_hash,
        cut_the_state,
        empty_the_state,
        come_from_the_future,
    ],
)
def test_a_damaged_checkpoint_is_named_and_passed_over(tmp_path, damage):
    checkpoint.save(tmp_path, 10, state(10), keep=2)
    newest = checkpoint.save(tmp_path, 20, state(20), keep=2)
    message = damage(newest)
    with pytest.raises(BadFile, match=message):
        checkpoint.load(newest)
    step, captured, damaged = checkpoint.load_newest(tmp_path)
    assert (step, captured["seen"]) == (10, ({}, 10))
    (problem,) = damaged
    assert "step-000000020" in problem


def test_a_folder_without_a_whole_checkpoint_says_what_is_wrong_with_each(tmp_path):
    cut_the_state(checkpoint.save(tmp_path, 10, state(10), keep=2))
    drop_a_file(checkpoint.save(tmp_path, 20, state(20), keep=2))
    with pytest.raises(BadFile, match=r"holds no whole checkpoint.*step-000000020.*step-000000010"):
        checkpoint.load_newest(tmp_path)
    with pytest.raises(BadFile, match="holds no whole checkpoint"):
        checkpoint.load_newest(tmp_path / "nowhere")


SAVE_AND_DIE = textwrap.dedent(
    """
    import os, signal, sys, time
    from pathlib import Path
    import torch
    from zoo_core.checkpoint import directory as checkpoint

    from zoo_core.checkpoint.serialize import pack

    def state(value):
        return {"model": pack({"weight": torch.full((4,), float(value))}), "seen": pack(value)}

    def die(*arguments):
        os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(60)

    folder, moment = Path(sys.argv[1]), sys.argv[2]
    checkpoint.save(folder, 10, state(10), keep=1)
    if moment == "rename":
        Path.rename = die
    else:
        setattr(checkpoint, moment, die)
    checkpoint.save(folder, 20, state(20), keep=1)
    """
)


@pytest.mark.parametrize("moment", ["save_file", "sha256_of", "sync", "rename"])
def test_a_kill_in_the_middle_of_saving_leaves_the_old_one(tmp_path, moment):
    killed = subprocess.run([sys.executable, "-c", SAVE_AND_DIE, tmp_path, moment], timeout=120)
    assert killed.returncode == -signal.SIGKILL
    step, captured, damaged = checkpoint.load_newest(tmp_path)
    assert (step, captured["seen"], damaged) == (10, ({}, 10), [])
    assert any(name.startswith(".step-000000020") for name in names_in(tmp_path))

    checkpoint.save(tmp_path, 20, state(20), keep=2)  # whoever goes on takes away what was left half-written
    assert names_in(tmp_path) == ["step-000000010", "step-000000020"]


def test_a_disk_that_is_full_is_said_and_earlier_checkpoints_stay(tmp_path, monkeypatch):
    checkpoint.save(tmp_path, 10, state(10), keep=1)

    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint, "sync", full)
    with pytest.raises(BadFile, match=r"step 20 could not be written to .*: No space left on device"):
        checkpoint.save(tmp_path, 20, state(20), keep=1)
    assert names_in(tmp_path) == ["step-000000010"]
