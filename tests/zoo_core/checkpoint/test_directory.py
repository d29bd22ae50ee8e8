"""Checkpoint folders: written completely or not at all, and never read when damaged."""

import signal
import subprocess
import textwrap

import pytest
import torch
from warm_python import PYTHON

from zoo_core.checkpoint import directory as checkpoint
from zoo_core.checkpoint.retention import Retention
from zoo_core.checkpoint.serialize import pack
from zoo_core.errors import BadFile


def state(value):
    return {"model": pack({"weight": torch.full((4,), float(value))}), "seen": pack(value), "pair": pack((1, value))}


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_checkpoint_is_read_back_as_written(tmp_path):
    path = checkpoint.save(tmp_path, 7, state(3), Retention(2))
    assert path == tmp_path / "step-000000007"
    assert names_in(path) == ["SHA256SUMS", "model.safetensors", "state.json"]
    step, loaded = checkpoint.load(path)
    assert step == 7
    assert loaded.keys() == {"model", "seen", "pair"}
    assert loaded["model"][0]["weight"].tolist() == [3.0] * 4
    assert loaded["seen"] == ({}, 3)


def test_tensors_that_share_memory_are_stored(tmp_path):
    shared = torch.arange(6.0)
    path = checkpoint.save(tmp_path, 1, {"views": pack([shared, shared[2:4], shared.view(2, 3).T])}, Retention(1))
    tensors = list(checkpoint.load(path)[1]["views"][0].values())
    assert [tensor.tolist() for tensor in tensors] == [
        shared.tolist(), [2.0, 3.0], [[0.0, 3.0], [1.0, 4.0], [2.0, 5.0]],
    ]  # fmt: skip


def test_a_step_can_be_saved_again(tmp_path):
    checkpoint.save(tmp_path, 5, state(1), Retention(2))
    checkpoint.save(tmp_path, 5, state(2), Retention(2))
    assert names_in(tmp_path) == ["step-000000005"]
    assert checkpoint.load_newest(tmp_path)[1]["seen"] == ({}, 2)


def truncate_the_state(path):
    (path / "state.json").write_text((path / "state.json").read_text()[:20])


def test_a_damaged_checkpoint_is_reported_and_the_one_before_it_is_loaded(tmp_path):
    checkpoint.save(tmp_path, 10, state(10), Retention(2))
    newest = checkpoint.save(tmp_path, 20, state(20), Retention(2))
    truncate_the_state(newest)
    with pytest.raises(BadFile, match=r"state\.json is damaged: its SHA-256 is not the one in SHA256SUMS"):
        checkpoint.load(newest)
    step, loaded, damaged = checkpoint.load_newest(tmp_path)
    assert (step, loaded["seen"]) == (10, ({}, 10))
    assert list(damaged) == [newest]
    assert "step-000000020/state.json is damaged" in damaged[newest]


def test_a_damaged_checkpoint_is_renamed_and_no_longer_counts(tmp_path):
    checkpoint.save(tmp_path, 10, state(10), Retention(2))
    damaged = {}
    for _ in range(2):
        truncate_the_state(checkpoint.save(tmp_path, 20, state(20), Retention(2)))
        step, _, damaged = checkpoint.load_newest(tmp_path)
        (message,) = checkpoint.set_damaged_aside(damaged, step)
    assert "\n" not in message
    assert message.endswith("The run resumes from step 10; the damaged checkpoint is kept as step-000000020.damaged-2.")
    assert names_in(tmp_path) == ["step-000000010", "step-000000020.damaged", "step-000000020.damaged-2"]
    assert checkpoint.load_newest(tmp_path)[::2] == (10, {})


def test_without_a_complete_checkpoint_the_errors_of_all_are_reported(tmp_path):
    truncate_the_state(checkpoint.save(tmp_path, 10, state(10), Retention(2)))
    (checkpoint.save(tmp_path, 20, state(20), Retention(2)) / "model.safetensors").unlink()
    with pytest.raises(BadFile, match=r"holds no complete checkpoint.*step-000000020.*step-000000010") as raised:
        checkpoint.load_newest(tmp_path)
    assert raised.value.hint == f"To start the run again at step 0, delete {tmp_path}."
    with pytest.raises(BadFile, match="holds no complete checkpoint"):
        checkpoint.load_newest(tmp_path / "nowhere")


def test_loaded_tensors_are_as_aligned_as_new_ones(tmp_path):
    tensors = [torch.arange(float(length)) for length in (1, 3, 5, 7, 90)]
    path = checkpoint.save(tmp_path, 1, {"values": pack(tensors)}, Retention(1))
    loaded = checkpoint.load(path)[1]["values"][0].values()
    assert {tensor.data_ptr() % 64 for tensor in loaded} == {0}
    assert len({tensor.untyped_storage().data_ptr() for tensor in loaded}) == len(tensors)


def test_files_that_a_checkpoint_needs_are_synced_before_it_is_complete(tmp_path, monkeypatch):
    order = []
    monkeypatch.setattr(checkpoint, "sync", lambda path: order.append(path.name))
    (tmp_path / "metrics.jsonl").touch()
    folder = tmp_path / "checkpoints"
    files = [tmp_path / "metrics.jsonl", tmp_path / "absent"]
    checkpoint.save(folder, 1, state(1), Retention(1), sync_first=files)
    assert order[-2:] == ["metrics.jsonl", "checkpoints"]  # the latter after the rename


SAVE_AND_KILL = textwrap.dedent(
    """
    import os, signal, sys, time
    from pathlib import Path
    import torch
    from zoo_core.checkpoint import directory as checkpoint
    from zoo_core.checkpoint.retention import Retention
    from zoo_core.checkpoint.serialize import pack

    def state(value):
        return {"model": pack({"weight": torch.full((4,), float(value))}), "seen": pack(value)}

    def kill(*arguments):
        os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(60)

    folder, moment = Path(sys.argv[1]), sys.argv[2]
    checkpoint.save(folder, 10, state(10), Retention(1))
    if moment == "rename":
        Path.rename = kill
    else:
        setattr(checkpoint, moment, kill)
    checkpoint.save(folder, 20, state(20), Retention(1))
    """
)


@pytest.mark.parametrize("moment", ["save_file", "sha256_of", "sync", "rename"])
def test_a_kill_while_saving_leaves_the_previous_checkpoint(tmp_path, moment):
    killed = subprocess.run([PYTHON, "-c", SAVE_AND_KILL, tmp_path, moment], timeout=120)
    assert killed.returncode == -signal.SIGKILL
    step, loaded, damaged = checkpoint.load_newest(tmp_path)
    assert (step, loaded["seen"], damaged) == (10, ({}, 10), {})
    assert any(name.startswith(".step-000000020") for name in names_in(tmp_path))

    checkpoint.save(tmp_path, 20, state(20), Retention(2))  # the next save deletes the incomplete folder
    assert names_in(tmp_path) == ["step-000000010", "step-000000020"]


def test_a_full_disk_is_reported_and_earlier_checkpoints_stay(tmp_path, monkeypatch):
    checkpoint.save(tmp_path, 10, state(10), Retention(1))

    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint, "sync", full)
    with pytest.raises(BadFile, match=r"step 20 could not be written to .*: No space left on device"):
        checkpoint.save(tmp_path, 20, state(20), Retention(1))
    assert names_in(tmp_path) == ["step-000000010"]
