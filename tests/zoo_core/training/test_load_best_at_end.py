"""With ``run.load_best_at_end`` the weights of the best checkpoint are evaluated and published."""

import json
import warnings

import pytest
import tiny
import torch
from scored import ScoredTrainer, train

import zoo_core as zoo
from zoo_core.checkpoint.names import name_of
from zoo_core.weights.card import card
from zoo_core.weights.format import read_tensors
from zoo_core.weights.header import read_header

BEST = ("run.monitor=accuracy", "run.load_best_at_end=true")  # the best accuracy is that of step 14


@pytest.mark.parametrize("average", [(), ("run.ema_decay=0.9",)], ids=["trained", "averaged"])
def test_the_weights_are_those_of_a_run_that_was_stopped_at_the_best_step(tmp_path, average):
    run = train(tmp_path / "run", *BEST, *average)
    assert (run.step, run.weights_step, run.result()["weights_step"]) == (40, 14, 14)
    train(tmp_path / "stopped", "run.monitor=accuracy", *average, callbacks=[tiny.Watcher(stop_at=14)])
    last = train(tmp_path / "last", "run.monitor=accuracy", *average)
    assert last.weights_step == 40
    best, expected, other = (weights(tmp_path / name) for name in ("run", "stopped", "last"))
    assert all(torch.equal(best[key], expected[key]) for key in expected)
    assert not all(torch.equal(best[key], other[key]) for key in expected)
    assert all(torch.equal(best[key], value) for key, value in run.model.state_dict().items())


def test_the_file_and_its_card_name_both_steps(tmp_path):
    train(tmp_path / "run", *BEST)
    header = read_header(tmp_path / "run" / "model.safetensors")
    assert (header.metadata["step"], header.metadata["weights_step"]) == (40, 14)
    assert header.describe()["weights of step"] == 14
    header.metadata["license"] = "Apache-2.0"
    assert "40 steps, of which the weights of step 14 are the best." in card("line", header, "A line", None)
    train(tmp_path / "last", "run.monitor=accuracy")
    assert "weights_step" not in read_header(tmp_path / "last" / "model.safetensors").metadata


@pytest.mark.parametrize("stop", [3, 14, 15, 39])
def test_a_resumed_run_publishes_the_same(tmp_path, stop):
    train(tmp_path / "whole", *BEST)
    train(tmp_path / "run", *BEST, callbacks=[tiny.Watcher(stop_at=stop)])
    stopped = read_header(tmp_path / "run" / "model.safetensors").metadata
    assert stopped["step"] == stop
    assert "weights_step" not in stopped
    train(tmp_path / "run", *BEST, resume=True)
    train(tmp_path / "run", *BEST, resume=True)  # one that is done is evaluated again
    for file in ("model.safetensors", "metrics.jsonl"):
        assert (tmp_path / "run" / file).read_bytes() == (tmp_path / "whole" / file).read_bytes(), file


@pytest.mark.parametrize("stop", [0, 39])
def test_what_a_later_step_adds_to_the_trainer_is_gone_with_the_best_weights(stop, tmp_path, monkeypatch):
    step = ScoredTrainer.step

    def adding(self, batch):
        if self.done == 20:
            self.threshold, self.names = torch.ones(2), ["a"]
        return step(self, batch)

    train(tmp_path / "whole", *BEST)
    monkeypatch.setattr(ScoredTrainer, "step", adding)
    run = train(tmp_path / "run", *BEST, callbacks=[tiny.Watcher(stop_at=stop)])
    if stop:
        assert run.trainer.names == ["a"]
        run = train(tmp_path / "run", *BEST, resume=True)
    assert run.weights_step == 14
    assert not hasattr(run.trainer, "threshold")
    best, expected = weights(tmp_path / "run"), weights(tmp_path / "whole")
    assert all(torch.equal(best[key], expected[key]) for key in expected)


def test_a_run_that_is_done_goes_on_from_its_last_step(tmp_path):
    train(tmp_path / "whole", "run.monitor=accuracy", "run.steps=40")
    train(tmp_path / "run", *BEST, "run.steps=20")
    with pytest.warns(UserWarning, match=r"run\.steps is now 40"):
        assert train(tmp_path / "run", "run.monitor=accuracy", "run.steps=40", resume=True).weights_step == 40
    whole, run = weights(tmp_path / "whole"), weights(tmp_path / "run")
    assert all(torch.equal(whole[key], run[key]) for key in whole)


def test_a_damaged_best_checkpoint_is_an_error_that_names_the_way_out(tmp_path):
    train(tmp_path / "run", *BEST)
    (tmp_path / "run" / "checkpoints" / name_of(14) / "model.safetensors").write_bytes(b"")
    before = (tmp_path / "run" / "model.safetensors").read_bytes()
    with pytest.raises(zoo.ZooError, match=name_of(14)) as error:
        train(tmp_path / "run", *BEST, resume=True)
    assert "run.load_best_at_end=false" in error.value.hint
    assert (tmp_path / "run" / "model.safetensors").read_bytes() == before
    run = train(tmp_path / "run", "run.monitor=accuracy", "run.load_best_at_end=false", resume=True)
    assert run.weights_step == 40


def test_without_any_finite_value_the_last_weights_are_published_and_that_is_said(tmp_path):
    never = f"trainer.accuracies={json.dumps([-1] * 20)}"
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        run = train(tmp_path / "run", *BEST, never)
    assert run.weights_step == 40
    said = [str(one.message) for one in caught if "so the weights of step 40, the last one, are" in str(one.message)]
    assert len(said) == 1
    assert said[0].startswith("no evaluation with run.monitor=accuracy had a finite accuracy")


def test_it_needs_a_metric_to_monitor(tmp_path):
    with pytest.raises(zoo.BadSetting, match=r"load_best_at_end is true, but run\.monitor names no") as error:
        train(tmp_path / "run", "run.load_best_at_end=true")
    assert "`run.monitor=accuracy`" in error.value.hint
    assert not (tmp_path / "run").exists()


def weights(folder):
    return read_tensors(folder / "model.safetensors")
