"""Out-of-memory errors, from a real allocation that is too large for any machine, name the settings to lower."""

from dataclasses import dataclass
from pathlib import Path

import pytest
import tiny
import torch

import zoo_core as zoo
from zoo_core.checkpoint import directory as checkpoint
from zoo_core.engine.memory import explain_out_of_memory, memory_now, peak_memory, reset_peak_memory
from zoo_core.errors import RunFailed


class SupportsCheckpointing(zoo.Model):
    """A model with a setting for activation checkpointing."""

    @dataclass(frozen=True, kw_only=True)
    class Config:
        checkpointing: bool = zoo.setting(False, "recompute activations in the backward pass")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A finished run."""
    return tiny.train(tmp_path_factory.mktemp("memory") / "run", "run.steps=2")


def allocate(run, count):
    with explain_out_of_memory(run):
        torch.empty(count, dtype=torch.uint8)


def test_a_step_that_runs_out_of_memory_ends_the_run_and_names_what_to_lower(tmp_path):
    watcher = tiny.Watcher()
    with pytest.raises(RunFailed) as failed:
        tiny.train(tmp_path / "run", "trainer.allocate_at=13", callbacks=(watcher,))
    assert failed.value.message.startswith("out of memory on cpu after step 12: ")
    assert "1125899906842624 bytes" in failed.value.message
    assert failed.value.hint == (f"Lower run.batch_size (it is 8) or the image size. The run is in {tmp_path / 'run'}.")
    assert watcher.heard == ["started at 0", "saved 10", "failed"]
    assert checkpoint.load_newest(tmp_path / "run" / "checkpoints")[0] == 10


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory."), MemoryError()])
def test_out_of_memory_errors_of_accelerators_and_numpy_are_recognized(run, error):
    with pytest.raises(RunFailed, match="out of memory on cpu after step 2: "), explain_out_of_memory(run):
        raise error


def test_the_hint_mentions_activation_checkpointing_if_the_model_supports_it(run):
    run.model, before = SupportsCheckpointing(SupportsCheckpointing.Config()), run.model
    with pytest.raises(RunFailed) as failed:
        allocate(run, 2**50)
    assert failed.value.hint.endswith("the image size, or set model.checkpointing=true.")
    run.model = SupportsCheckpointing(SupportsCheckpointing.Config(checkpointing=True))
    with pytest.raises(RunFailed) as failed:
        allocate(run, 2**50)
    assert failed.value.hint.endswith("the image size.")
    run.model = before


def test_other_errors_are_raised_unchanged(run):
    allocate(run, 8)
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied") as raised, explain_out_of_memory(run):
        torch.zeros(2, 3) @ torch.zeros(2, 3)
    assert not isinstance(raised.value, RunFailed)


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="the system keeps the peak")
def test_the_peak_is_that_since_it_was_reset():
    device = torch.device("cpu")
    assert reset_peak_memory(device)
    before = memory_now(device)
    large = torch.ones(2**26)  # 256 MiB
    assert peak_memory(device) > before + 2**27
    del large
    assert reset_peak_memory(device)
    assert peak_memory(device) < before + 2**27
