"""Memory that runs out: a real allocation that no machine can serve, said as what to lower."""

from dataclasses import dataclass

import pytest
import tiny
import torch

import zoo_core as zoo
from zoo_core.checkpoint import directory as checkpoint
from zoo_core.engine.memory import explain_out_of_memory
from zoo_core.errors import RunFailed


class Thrifty(zoo.Model):
    """A model that may compute again what it would keep."""

    @dataclass(frozen=True, kw_only=True)
    class Config:
        checkpointing: bool = zoo.setting(False, "compute stages again in the backward pass")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run that ended well."""
    return tiny.train(tmp_path_factory.mktemp("memory") / "run", "run.steps=2")


def asked_for(run, count):
    with explain_out_of_memory(run):
        torch.empty(count, dtype=torch.uint8)


def test_a_step_that_asks_for_too_much_ends_the_run_and_says_what_to_lower(tmp_path):
    watcher = tiny.Watcher()
    with pytest.raises(RunFailed) as failed:
        tiny.train(tmp_path / "run", "trainer.ask_at=13", callbacks=(watcher,))
    assert failed.value.message.startswith("the memory of cpu ran out after step 12: ")
    assert "1125899906842624 bytes" in failed.value.message
    assert failed.value.hint == (
        f"Lower run.batch_size (it is 8) or the size of the pictures. The run lies in {tmp_path / 'run'}."
    )
    assert watcher.heard == ["started at 0", "saved 10", "failed"]
    assert checkpoint.load_newest(tmp_path / "run" / "checkpoints")[0] == 10


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory."), MemoryError()])
def test_what_an_accelerator_or_numpy_raises_is_said_alike(run, error):
    with pytest.raises(RunFailed, match="the memory of cpu ran out after step 2: "), explain_out_of_memory(run):
        raise error


def test_a_model_that_can_compute_again_is_told_of(run):
    run.model, before = Thrifty(Thrifty.Config()), run.model
    with pytest.raises(RunFailed) as failed:
        asked_for(run, 2**50)
    assert failed.value.hint.endswith("the size of the pictures, or set model.checkpointing=true.")
    run.model = Thrifty(Thrifty.Config(checkpointing=True))
    with pytest.raises(RunFailed) as failed:
        asked_for(run, 2**50)
    assert failed.value.hint.endswith("the size of the pictures.")
    run.model = before


def test_other_errors_and_memory_that_is_there_pass_as_they_are(run):
    asked_for(run, 8)
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied") as raised, explain_out_of_memory(run):
        torch.zeros(2, 3) @ torch.zeros(2, 3)
    assert not isinstance(raised.value, RunFailed)
