"""Optimizers and schedules made from settings: their options, their defaults, and what is refused."""

from __future__ import annotations

import json

import by_name
import pytest
import torch
from torch import nn

import zoo_core as zoo
from zoo_core.errors import BadSetting, BrokenPlugin, UnknownName
from zoo_core.optim.build import make_optimizer, make_schedule
from zoo_core.registry.catalog import Catalog
from zoo_core.registry.resolve import resolve

CPU = torch.device("cpu")


def optimizer(module=None, **settings):
    with by_name.catalog().active():
        return make_optimizer(module or nn.Linear(3, 2), zoo.OptimizerConfig(**settings), CPU)


def rates(total_steps, **settings):
    """The learning rate of each step of a run, of a learning rate of 1."""
    config = zoo.OptimizerConfig(optimizer="sgd", learning_rate=1.0, **settings)
    with by_name.catalog().active():
        made = make_optimizer(nn.Linear(3, 2), config, CPU)
        schedule = make_schedule(made, config, total_steps)
    found = []
    for _ in range(total_steps):
        found.append(made.param_groups[0]["lr"])
        made.step()
        schedule.step()
    return found


def refused(overrides, error=BadSetting):
    """The error of a recipe with these overrides before its first step."""

    def make():
        config = resolve(by_name.RECIPE.with_overrides(overrides), by_name.catalog()).components["trainer"].config
        make_schedule(make_optimizer(nn.Linear(3, 2), config, CPU), config, 10)

    with pytest.raises(error) as raised, by_name.catalog().active():
        make()
    return str(raised.value)


def test_an_optimizer_has_the_settings_and_the_options_that_are_given():
    made = optimizer(optimizer="sgd", learning_rate=0.5, optimizer_options={"momentum": 0.9, "nesterov": True})
    assert type(made) is torch.optim.SGD
    assert (made.param_groups[0]["lr"], made.param_groups[0]["momentum"]) == (0.5, 0.9)
    assert made.param_groups[0]["nesterov"] is True


def test_options_are_converted_to_the_types_of_the_optimizer():
    (group,) = optimizer(optimizer_options={"betas": [0, 0.99], "eps": "1e-6", "amsgrad": True}).param_groups
    assert group["betas"] == (0.0, 0.99)
    assert (group["eps"], group["amsgrad"]) == (1e-6, True)


@pytest.mark.parametrize(("name", "fused"), [("adamw", True), ("adam", True), ("sgd", True), ("nadam", None)])
def test_optimizers_with_a_fused_step_use_it(name, fused):
    assert optimizer(optimizer=name).param_groups[0].get("fused") is fused


@pytest.mark.parametrize("options", [{"fused": False}, {"foreach": True}])
def test_a_fused_step_is_a_default_only(options):
    assert not optimizer(optimizer_options=options).param_groups[0].get("fused")


def test_a_module_with_sparse_gradients_has_no_fused_step():
    assert not optimizer(nn.Embedding(3, 2, sparse=True)).param_groups[0].get("fused")


def test_adamw_by_name_takes_the_steps_of_torch_optim():
    torch.manual_seed(0)
    ours, theirs = nn.Linear(3, 2), nn.Linear(3, 2)
    theirs.load_state_dict(ours.state_dict())
    one = optimizer(ours, weight_decay=0.1, decay_norms_and_biases=True, learning_rate=0.01)
    other = torch.optim.AdamW(theirs.parameters(), lr=0.01, weight_decay=0.1, fused=True)
    for _ in range(5):
        for module, its in ((ours, one), (theirs, other)):
            its.zero_grad()
            module(torch.linspace(0, 1, 12).view(4, 3)).square().mean().backward()
            its.step()
    assert torch.equal(ours.weight, theirs.weight)
    assert torch.equal(ours.bias, theirs.bias)


def test_the_optimizers_and_schedules_of_a_plugin_have_names(tmp_path):
    run = by_name.train(
        tmp_path / "run",
        "trainer.optimizer=by-name/halving",
        "trainer.schedule=sawtooth",
        "trainer.schedule_options.teeth=3",
        "trainer.optimizer_options.factor=0.25",
    )
    assert run.trainer.optimizer.param_groups[0]["factor"] == 0.25
    assert run.trainer.schedule.teeth == 3


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (
            "trainer.optimizer=admw",
            "trainer.optimizer: no optimizer is called 'admw'.\n"
            "  Did you mean 'adamw'? `zoo list optimizers` shows all {optimizers}.",
        ),
        (
            "trainer.optimizer=xyz",
            "trainer.optimizer: no optimizer is called 'xyz'.\n  `zoo list optimizers` shows all {optimizers}.",
        ),
        (
            "trainer.schedule=cosin",
            "trainer.schedule: no schedule is called 'cosin'.\n"
            "  Did you mean 'cosine'? `zoo list schedules` shows all {schedules}.",
        ),
    ],
)
def test_a_misspelled_name_is_refused_before_torch_is_needed(override, message):
    known = by_name.catalog().registry
    numbers = {f"{kind}s": len(known.of_kind(kind)) for kind in ("optimizer", "schedule")}
    with pytest.raises(UnknownName) as raised:
        resolve(by_name.RECIPE.with_overrides([override]), by_name.catalog())
    assert str(raised.value).endswith(message.format(**numbers))


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ["trainer.optimizer=sgd", "trainer.optimizer_options.momentm=0.9"],
            "trainer.optimizer_options.momentm: the optimizer 'sgd' has no such option.\n"
            "  Did you mean 'momentum'? Its options: momentum, dampening, nesterov, maximize, foreach, fused.",
        ),
        (
            ["trainer.schedule=cosine", "trainer.schedule_options.last=0.1"],
            "trainer.schedule_options.last: the schedule 'cosine' has no such option.\n  Its options: end.",
        ),
        (
            ["trainer.schedule_options.end=0.1"],
            "trainer.schedule_options.end: the schedule 'constant' has no such option.\n  It has no options.",
        ),
        (
            ["trainer.optimizer_options.betas=0.9"],
            "trainer.optimizer_options.betas is 0.9, but the optimizer 'adamw' needs a list of 2 float.\n"
            "  Leave it out for its default, [0.9, 0.999].",
        ),
        (
            ["trainer.optimizer_options.lr=0.9"],
            "trainer.optimizer_options.lr: this is a setting of its own.\n  Write `trainer.learning_rate=…`.",
        ),
        (
            ["trainer.optimizer=lbfgs", "trainer.weight_decay=0.1"],
            "trainer.weight_decay is 0.1, but the optimizer 'lbfgs' has no weight decay.\n"
            "  Write `trainer.weight_decay=0`.",
        ),
        (
            ["trainer.warmup=2.5"],
            "trainer.warmup is 2.5, but should be a number of steps, or a fraction of the run below 1.\n"
            "  Write `trainer.warmup=2`.",
        ),
        (
            ["trainer.schedule=exponential", "trainer.schedule_options.end=0"],
            "trainer.schedule_options.end is 0.0, but should be above 0.\n"
            "  `zoo list schedules` shows all schedules, and `zoo info SCHEDULE` the options of one.",
        ),
        (
            ["trainer.optimizer_options.betas=[0.9, 2]"],
            "the optimizer 'adamw' refuses its settings: ValueError: Invalid beta parameter at index 1: 2.0.\n"
            "  `zoo info adamw` shows its options, for trainer.optimizer_options.",
        ),
        (
            ["trainer.optimizer=lbfgs", "trainer.param_groups={bias: {lr_scale: 2}}"],
            "the optimizer 'lbfgs' refuses its settings: ValueError: LBFGS doesn't support per-parameter options "
            "(parameter groups).\n  `zoo info lbfgs` shows its options, for trainer.optimizer_options.",
        ),
    ],
)
def test_a_setting_that_does_not_fit_is_refused_in_two_lines(overrides, message):
    assert refused(overrides) == message


def test_a_module_without_parameters_is_refused():
    with pytest.raises(BadSetting, match="the optimizer 'adamw' gets a ReLU without parameters"):
        optimizer(nn.ReLU())


@pytest.mark.parametrize(("name", "kind"), [("nothing", "optimizer"), ("no-schedule", "schedule")])
def test_a_plugin_whose_function_returns_something_else_is_named(name, kind):
    message = refused([f"trainer.{kind}={name}"], BrokenPlugin)
    assert f"the {kind} 'by-name/{name}' is a dict, but should be a torch.optim." in message


def test_a_plugin_cannot_take_the_name_of_an_optimizer_of_zoo():
    here = Catalog(installed=False)

    class Taking:
        @zoo.hookimpl
        def zoo_register(self, registry):
            registry.optimizer("adamw", "by_name:Halving", summary="Another AdamW")

    with pytest.raises(BrokenPlugin, match="registers the optimizer 'adamw', which zoo itself offers"):
        here.plugins.add("taking", Taking())


@pytest.mark.parametrize(("warmup", "steps"), [(0.0, 0), (0.25, 2), (4, 4), (100, 100), (0.999, 8)])
def test_a_warm_up_is_given_in_steps_or_as_a_fraction_of_the_run(warmup, steps):
    found = rates(8, warmup=warmup)
    assert found == pytest.approx([min((step + 1) / (steps + 1), 1) for step in range(8)])


def test_a_run_that_ends_before_its_warm_up_says_so_once(tmp_path):
    with pytest.warns(UserWarning, match="warmup") as caught:
        by_name.train(tmp_path / "run", "trainer.warmup=5000", "run.steps=4")
    expected = (
        "trainer.warmup is 5,000 steps, but the run has 4: its learning rate rises to the end, and stays below "
        "trainer.learning_rate."
    )
    assert [str(one.message) for one in caught] == [expected]
    assert expected in json.loads((tmp_path / "run/environment.json").read_text())["warnings"]


@pytest.mark.parametrize("warmup", ["4", "0.999"])
def test_a_warm_up_may_be_as_long_as_the_run(tmp_path, warmup):
    by_name.train(tmp_path / "run", f"trainer.warmup={warmup}", "run.steps=4")


def test_several_networks_have_settings_of_their_own(tmp_path):
    run = by_name.train(tmp_path / "run", "trainer.name=two-networks")
    assert [type(one).__name__ for one in run.trainer.optimizers] == ["AdamW", "SGD"]
    assert [one.param_groups[0]["initial_lr"] for one in run.trainer.optimizers] == [0.01, 0.1]
