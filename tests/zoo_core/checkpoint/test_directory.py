"""Checkpoint folders: written completely or not at all, and never read when damaged."""

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


def test_a_checkpoint_is_read_back_as_written(tmp_path):
    path = checkpoint.save(tmp_path, 7, state(3), keep=2)
    assert path == tmp_path / "step-000000007"
    assert names_in(path) == ["model.safetensors", "state.json"]
    step, loaded = checkpoint.load(path)
    assert step == 7
    assert loaded.keys() == {"model", "seen", "pair"}
    assert loaded["model"][0]["weight"].tolist() == [3.0] * 4
    assert loaded["seen"] == ({}, 3)


def test_tensors_that_share_memory_are_stored(tmp_path):
    shared = torch.arange(6.0)
    path = checkpoint.save(tmp_path, 1, {"views": pack([shared, shared[2:4], shared.view(2, 3).T])}, keep=1)
    tensors = list(checkpoint.load(path)[1]["views"][0].values())
    assert [tensor.tolist() for tensor in tensors] == [
        shared.tolist(), [2.0, 3.0], [[0.0, 3.0], [1.0, 4.0], [2.0, 5.0]],
    ]  # fmt: skip


def test_only_the_newest_checkpoints_are_kept(tmp_path):
    for step in (10, 20, 30, 1000000000 - 1):
        checkpoint.save(tmp_path, step, state(step), keep=2)
    assert names_in(tmp_path) == ["step-000000030", "step-999999999"]


def test_the_checkpoint_just_written_is_kept_even_if_newer_damaged_ones_exist(tmp_path):
    checkpoint.save(tmp_path, 20, state(20), keep=2)
    damaged = checkpoint.save(tmp_path, 30, state(30), keep=2)
    (damaged / "state.json").write_text("{")
    checkpoint.save(tmp_path, 25, state(25), keep=1)
    assert checkpoint.load_newest(tmp_path)[0] == 25


def test_a_step_can_be_saved_again(tmp_path):
    checkpoint.save(tmp_path, 5, state(1), keep=2)
    checkpoint.save(tmp_path, 5, state(2), keep=2)
    assert names_in(tmp_path) == ["step-000000005"]
    assert checkpoint.load_newest(tmp_path)[1]["seen"] == ({}, 2)


def change_a_tensor(path):
    file = path / "model.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    return r"model\.safetensors is damaged"


def truncate_a_file(path):
    file = path / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-4])
    return r"model\.safetensors is damaged"


def delete_a_file(path):
    (path / "model.safetensors").unlink()
    return "is not a complete checkpoint"


def change_a_hash(path):
    content = json.loads((path / "state.json").read_text())
    content["files"]["model"] = "0" * 64
    (path / "state.json").write_text(json.dumps(content))
    return r"model\.safetensors is damaged"


def truncate_the_state(path):
    (path / "state.json").write_text((path / "state.json").read_text()[:20])
    return "is not a complete checkpoint"


def empty_the_state(path):
    (path / "state.json").write_text("[]")
    return "is not a complete checkpoint"


def increase_the_format(path):
    content = json.loads((path / "state.json").read_text())
    (path / "state.json").write_text(json.dumps({**content, "format": 2}))
    return "has format 2, but this version of zoo reads 1"


@pytest.mark.parametrize(
    "damage",
    [
        change_a_tensor,
        truncate_a_file,
        delete_a_file,
        change_a_hash,
        truncate_the_state,
        empty_the_state,
        increase_the_format,
    ],
)
def test_a_damaged_checkpoint_is_reported_and_skipped(tmp_path, damage):
    checkpoint.save(tmp_path, 10, state(10), keep=2)
    newest = checkpoint.save(tmp_path, 20, state(20), keep=2)
    expected = damage(newest)
    with pytest.raises(BadFile, match=expected):
        checkpoint.load(newest)
    step, loaded, damaged = checkpoint.load_newest(tmp_path)
    assert (step, loaded["seen"]) == (10, ({}, 10))
    (message,) = damaged
    assert "step-000000020" in message


def test_without_a_complete_checkpoint_the_errors_of_all_are_reported(tmp_path):
    truncate_the_state(checkpoint.save(tmp_path, 10, state(10), keep=2))
    delete_a_file(checkpoint.save(tmp_path, 20, state(20), keep=2))
    with pytest.raises(BadFile, match=r"holds no complete checkpoint.*step-000000020.*step-000000010"):
        checkpoint.load_newest(tmp_path)
    with pytest.raises(BadFile, match="holds no complete checkpoint"):
        checkpoint.load_newest(tmp_path / "nowhere")


SAVE_AND_KILL = textwrap.dedent(
    """
    import os, signal, sys, time
    from pathlib import Path
    import torch
    from zoo_core.checkpoint import directory as checkpoint

    from zoo_core.checkpoint.serialize import pack

    def state(value):
        return {"model": pack({"weight": torch.full((4,), float(value))}), "seen": pack(value)}

    def kill(*arguments):
        os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(60)

    folder, moment = Path(sys.argv[1]), sys.argv[2]
    checkpoint.save(folder, 10, state(10), keep=1)
    if moment == "rename":
        Path.rename = kill
    else:
        setattr(checkpoint, moment, kill)
    checkpoint.save(folder, 20, state(20), keep=1)
    """
)


@pytest.mark.parametrize("moment", ["save_file", "sha256_of", "sync", "rename"])
def test_a_kill_while_saving_leaves_the_previous_checkpoint(tmp_path, moment):
    killed = subprocess.run([sys.executable, "-c", SAVE_AND_KILL, tmp_path, moment], timeout=120)
    assert killed.returncode == -signal.SIGKILL
    step, loaded, damaged = checkpoint.load_newest(tmp_path)
    assert (step, loaded["seen"], damaged) == (10, ({}, 10), [])
    assert any(name.startswith(".step-000000020") for name in names_in(tmp_path))

    checkpoint.save(tmp_path, 20, state(20), keep=2)  # the next save deletes the incomplete folder
    assert names_in(tmp_path) == ["step-000000010", "step-000000020"]


def test_a_full_disk_is_reported_and_earlier_checkpoints_stay(tmp_path, monkeypatch):
    checkpoint.save(tmp_path, 10, state(10), keep=1)

    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint, "sync", full)
    with pytest.raises(BadFile, match=r"step 20 could not be written to .*: No space left on device"):
        checkpoint.save(tmp_path, 20, state(20), keep=1)
    assert names_in(tmp_path) == ["step-000000010"]
