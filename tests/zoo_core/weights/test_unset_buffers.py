"""Buffers that get their value in training are saved, resumed and loaded."""

from __future__ import annotations

import pytest
import remembering
import tiny
import torch
from torch import nn

import zoo_core as zoo
from zoo_core.config.recipe import Recipe
from zoo_core.registry.resolve import resolve
from zoo_core.training.runner import run_recipe
from zoo_core.weights.format import read_tensors
from zoo_core.weights.load import load


def catalog(model="Remembers"):
    here = tiny.catalog()

    class Plugin:
        @zoo.hookimpl
        def zoo_register(self, registry):
            registry.model("remembers", f"remembering:{model}", summary="Remembers")
            registry.trainer("mean-squares", "remembering:MeanSquares", summary="Mean squares")

    here.plugins.add("remembering", Plugin())
    return here


def train(folder, *words, model="Remembers", callbacks=(), resume=False):
    here = catalog(model)
    values = {
        "model": {"name": "remembers"},
        "dataset": {"name": "points"},
        "trainer": {"name": "mean-squares", "learning_rate": 0.01},
        "run": {"steps": 6, "batch_size": 8, "checkpoint_every": 2, "preview_every": 0, "device": "cpu"},
    }
    recipe = Recipe("remember", values).with_overrides(words)
    return run_recipe(resolve(recipe, here), callbacks, folder, resume), here


@pytest.mark.parametrize("none", ["true", "false"])
@pytest.mark.parametrize(
    "more", [(), ("run.ema_decay=0.9", "run.ema_every=4"), ("run.ema_decay=0.9", "run.ema_buffers=true")]
)
def test_a_run_with_a_buffer_that_a_step_sets_is_resumed_and_loaded(tmp_path, none, more):
    words = (f"model.none={none}", *more)
    whole, catalog_of_run = train(tmp_path / "whole", *words)
    for stop in (1, 3, 5):
        folder = tmp_path / str(stop)
        train(folder, *words, callbacks=[tiny.Watcher(stop_at=stop)])
        train(folder, *words, resume=True)
        one, other = (read_tensors(place / "model.safetensors") for place in (folder, tmp_path / "whole"))
        assert one.keys() == other.keys()
        assert all(torch.equal(one[name], other[name]) for name in one)
    loaded, _ = load(tmp_path / "whole", catalog_of_run)
    point = torch.randn(4, 3)
    assert loaded.layers[0].largest.shape[1] == 3
    assert torch.equal(loaded(point), whole.model.eval()(point))


def test_the_average_of_a_buffer_does_not_begin_with_an_evaluation(tmp_path):
    words = ("run.ema_decay=0.5", "run.ema_every=4", "run.ema_buffers=true")
    for every in (0, 1):
        train(tmp_path / str(every), *words, f"run.evaluate_every={every}")
    one, other = (tmp_path / str(every) / "model.safetensors" for every in (0, 1))
    assert read_tensors(one)["layers.0.largest"].equal(read_tensors(other)["layers.0.largest"])


def test_weights_with_other_settings_do_not_get_buffers_that_these_leave_out(tmp_path):
    _, here = train(tmp_path / "run")
    with pytest.raises(zoo.ZooError, match=r"has 'layers.0.largest' \(6, 3\), which Remembers does not have"):
        load(tmp_path / "run", here, settings={"none": True})


CHANGES = {
    "created": (
        lambda model: model.layers.register_buffer("seen", torch.zeros(2)),
        r"'layers.seen' of the model was created after setup\(\), with shape \(2,\)",
    ),
    "module": (
        lambda model: model.layers.append(nn.Linear(1, 1)),
        r"'layers.2.bias' of the model was created after setup\(\), with shape \(1,\)",
    ),
    "removed": (
        lambda model: setattr(model, "mean", None),
        r"'mean' of the model was removed after setup\(\), when it had shape \(3,\)",
    ),
    "grown": (
        lambda model: setattr(model, "mean", torch.zeros(5)),
        r"'mean' of the model had shape \(3,\) after setup\(\) and now has \(5,\)",
    ),
}


@pytest.mark.parametrize(("change", "message"), CHANGES.values(), ids=CHANGES)
def test_what_could_not_be_loaded_again_is_refused_when_it_would_be_saved(tmp_path, monkeypatch, change, message):
    monkeypatch.setattr(remembering.Late, "change", staticmethod(change))
    with pytest.raises(zoo.ZooError, match=message):
        train(tmp_path / "run", model="Late")
    assert not list((tmp_path / "run" / "checkpoints").glob("step-*"))
