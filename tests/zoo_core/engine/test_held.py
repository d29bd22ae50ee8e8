"""What a trainer holds in lists, tuples and dicts is found wherever what it holds directly is."""

from __future__ import annotations

import by_name
import pytest
import tiny
import torch
from torch import nn

import zoo_core as zoo
from zoo_core.engine.held import held, held_optimizers
from zoo_core.engine.host_state import HostState
from zoo_core.engine.optimizers import fit_to_device
from zoo_core.errors import RunFailed
from zoo_core.registry.resolve import resolve
from zoo_core.training.runner import run_recipe


def test_objects_are_found_once_and_in_order():
    one, other = nn.Linear(1, 1), nn.Linear(1, 1)
    assert list(held([one, [other, (one, {"a": 3})]])) == [one, other, 3]


def test_a_list_that_contains_itself_ends():
    endless: list[object] = [1]
    endless.append(endless)
    assert list(held([endless])) == [1]


def test_optimizers_in_containers_are_set_up_for_the_device():
    parameter = nn.Parameter(torch.zeros(1))
    optimizers = [torch.optim.Adam([parameter], lr=torch.tensor(0.1)) for _ in range(2)]
    for one in optimizers:
        one.defaults["lr"] = 0.1  # as after loading a state that was saved on CUDA
    fit_to_device([{"all": optimizers}], torch.device("cpu"))
    assert [one.param_groups[0]["lr"] for one in optimizers] == pytest.approx([0.1, 0.1])
    assert all(isinstance(one.param_groups[0]["lr"], float) for one in held_optimizers([optimizers]))


def test_a_run_with_containers_is_resumed_bit_for_bit(tmp_path):
    words = ("trainer.name=two-networks",)
    by_name.train(tmp_path / "whole", *words)
    by_name.train(tmp_path / "stopped", *words, callbacks=[tiny.Watcher(stop_at=5)])
    run = by_name.train(tmp_path / "stopped", resume=True)
    assert by_name.result_of(tmp_path / "stopped") == by_name.result_of(tmp_path / "whole")
    assert run.trainer.history == [{"count": 12}, run.trainer.schedules[0]]


class ChangingTrainer(by_name.TwoNetworksTrainer):
    def evaluate(self, batches, train_batches):
        with torch.no_grad():
            self.networks["critic"][0].weight.add_(1)
        return {"error": 0.0}


class LeavingTrainer(by_name.TwoNetworksTrainer):
    def evaluate(self, batches, train_batches):
        self.networks["critic"].eval()
        self.networks["critic"][1].running_mean.add_(1)
        self.networks["critic"](torch.ones(3, 3)).sum().backward()
        return {"error": 0.0}


class Plugin:
    @zoo.hookimpl
    def zoo_register(self, registry):
        registry.trainer("changing", f"{__name__}:ChangingTrainer", summary="Changes a network in an evaluation")
        registry.trainer("leaving", f"{__name__}:LeavingTrainer", summary="Leaves modes, buffers and gradients")


def train(folder, *words):
    here = by_name.catalog()
    here.plugins.add("held", Plugin())
    return run_recipe(resolve(by_name.RECIPE.with_overrides(words), here), [], folder)


def test_an_evaluation_that_changes_a_network_in_a_dict_ends_the_run(tmp_path):
    with pytest.raises(
        RunFailed, match=r"evaluate of the trainer 'changing' changes self\.networks \(critic\.0\.weight"
    ):
        train(tmp_path / "run", "trainer.name=changing", "run.evaluate_every=2")


def test_modes_buffers_and_gradients_of_networks_in_a_dict_are_put_back(tmp_path):
    often = train(tmp_path / "often", "trainer.name=leaving", "run.evaluate_every=2")
    never = train(tmp_path / "never", "trainer.name=leaving")
    assert all(
        torch.equal(one, other)
        for one, other in zip(
            often.trainer.networks["critic"].state_dict().values(),
            never.trainer.networks["critic"].state_dict().values(),
            strict=True,
        )
    )


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda t: t.optimizers[1].param_groups[0].update(lr=5.0), "self.optimizers[1].param_groups[0]['lr']"),
        (lambda t: t.networks["critic"].eval(), "self.networks['critic'].training"),
        (lambda t: t.schedules[0].step(), "self.schedules[0]."),
        (lambda t: t.networks["critic"][0].requires_grad_(False), "self.networks['critic'].0.weight"),
    ],
)
def test_what_a_step_reads_in_containers_is_compared_before_a_replay(tmp_path, change, found):
    trainer = by_name.train(tmp_path / "run", "trainer.name=two-networks").trainer
    state = HostState(trainer, ["optimizers", "networks", "schedules"], torch.device("cpu"))
    assert state.changed() is None
    change(trainer)
    assert str(state.changed()).startswith(found)
