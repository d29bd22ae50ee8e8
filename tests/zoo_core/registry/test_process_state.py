"""What is changed of the process is named and undone; a run leaves the process as it found it."""

import os
import random
import warnings

import numpy as np
import pytest
import tiny
import torch

import zoo_core as zoo
from zoo_core.registry.process_state import ProcessState, flushes_denormals, restoring_process

CHANGES = {
    "the working directory": lambda: os.chdir("/"),
    "the umask": lambda: os.umask(0o077),
    "torch's default dtype": lambda: torch.set_default_dtype(torch.float64),
    "torch's default device": lambda: torch.set_default_device("meta"),
    "torch's grad mode": lambda: torch.set_grad_enabled(False),
    "torch's number of threads": lambda: torch.set_num_threads(torch.get_num_threads() + 1),
    "torch's deterministic algorithms": lambda: torch.use_deterministic_algorithms(True),
    "torch's filling of uninitialized memory": lambda: setattr(
        torch.utils.deterministic, "fill_uninitialized_memory", False
    ),
    "torch's flushing of denormal numbers": lambda: torch.set_flush_denormal(True),
}


def state():
    umask = os.umask(0o022)
    os.umask(umask)
    return (
        os.getcwd(),
        umask,
        torch.get_default_dtype(),
        torch.get_default_device(),
        torch.is_grad_enabled(),
        torch.get_num_threads(),
        torch.are_deterministic_algorithms_enabled(),
        flushes_denormals(),
        list(warnings.filters),
    )


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_is_named_and_undone(name):
    before = state()
    changed = ProcessState()
    CHANGES[name]()
    assert changed.undo() == [name]
    with restoring_process():
        CHANGES[name]()
    assert state()[:-1] == before[:-1]  # torch may have imported what adds a filter


def test_what_was_set_before_stays():
    torch.set_flush_denormal(True)
    torch.set_default_dtype(torch.float64)
    try:
        changed = ProcessState().undo()
        with restoring_process():
            torch.set_flush_denormal(False)
            torch.set_default_dtype(torch.float32)
        assert (changed, torch.get_default_dtype(), flushes_denormals()) == ([], torch.float64, True)
    finally:
        torch.set_flush_denormal(False)
        torch.set_default_dtype(torch.float32)


def random_states():
    return [torch.get_rng_state().tolist(), random.getstate(), str(np.random.get_state())]


@pytest.mark.parametrize("words", [[], ["run.threads=3"], ["trainer.raise_at=2"]])
def test_a_run_leaves_the_process_as_it_found_it(tmp_path, monkeypatch, words):
    class Changing(tiny.LineTrainer):
        def setup(self, model, engine):
            super().setup(model, engine)
            for change in ("the working directory", "the umask", "torch's number of threads"):
                CHANGES[change]()
            warnings.simplefilter("ignore")

    monkeypatch.setattr(tiny, "LineTrainer", Changing)
    torch.set_flush_denormal(True)
    before, draws = state(), random_states()
    try:
        if words[-1:] == ["trainer.raise_at=2"]:
            with pytest.raises(zoo.RunFailed) as failed:
                tiny.train(tmp_path / "run", "run.steps=3", *words)
            place = str(failed.value).split("The run is in ")[1].removesuffix(".")
            assert os.path.samefile(place, tmp_path / "run")  # seen from the folder that the plugin has left
        else:
            tiny.train(tmp_path / "run", "run.steps=3", *words)
        assert state() == before
        assert random_states() == draws
    finally:
        torch.set_flush_denormal(False)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_a_program_may_train_where_its_own_code_computes_no_gradients(tmp_path, mode):
    weights = tiny.train(tmp_path / "outside", "run.steps=3").model.state_dict()
    with mode():
        inside = tiny.train(tmp_path / "inside", "run.steps=3").model.state_dict()
        assert (torch.is_grad_enabled(), torch.is_inference_mode_enabled()) == (False, mode is torch.inference_mode)
    assert all(torch.equal(inside[name], one) for name, one in weights.items())
