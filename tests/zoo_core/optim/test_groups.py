"""Weight decay and learning rates by the kind and the name of a parameter."""

from __future__ import annotations

import by_name
import pytest
from torch import nn

import zoo_core as zoo
from zoo_core.errors import BadSetting
from zoo_core.optim.groups import param_groups


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Linear(4, 4))
        self.norm = nn.LayerNorm((4, 4))
        self.head = nn.Linear(4, 2)


def groups(optimizer="adamw", **settings):
    """The names of the parameters of each group, with its options."""
    module = Network()
    names = {id(one): name for name, one in module.named_parameters()}
    entry = by_name.catalog().find("optimizer", optimizer)
    made = param_groups(module, zoo.OptimizerConfig(learning_rate=1.0, **settings), entry)
    return [([names[id(one)] for one in group.pop("params")], group) for group in made]


def test_without_weight_decay_all_parameters_are_one_group_in_their_order():
    ((names, options),) = groups()
    assert names == [name for name, _ in Network().named_parameters()]
    assert options == {"lr": 1.0, "weight_decay": 0.0}


def test_biases_and_normalization_layers_have_no_weight_decay():
    by_decay = {options["weight_decay"]: names for names, options in groups(weight_decay=0.1)}
    assert by_decay[0.1] == ["features.0.weight", "features.2.weight", "head.weight"]
    assert "norm.weight" in by_decay[0.0]  # it has two dimensions


def test_weight_decay_of_all_parameters_is_a_setting():
    ((_, options),) = groups(weight_decay=0.1, decay_norms_and_biases=True)
    assert options["weight_decay"] == 0.1


def test_patterns_multiply_learning_rates_and_the_first_that_matches_counts():
    patterns = {"head.bias": {"lr_scale": 2}, "features.*": {"lr_scale": 0.1, "weight_decay": 0.5}, "*": {}}
    by_rate = {options["lr"]: (names, options) for names, options in groups(param_groups=patterns)}
    assert by_rate[2.0][0] == ["head.bias"]
    assert by_rate[1.0][0] == ["norm.weight", "norm.bias", "head.weight"]
    assert by_rate[0.1][1] == {"lr": 0.1, "weight_decay": 0.5}


def test_patterns_may_give_options_of_the_optimizer():
    found = groups("sgd", param_groups={"head.*": {"momentum": 0.5}})
    assert [options.get("momentum") for _, options in found] == [None, 0.5]


@pytest.mark.parametrize(
    ("patterns", "message"),
    [
        (
            {"feature.*": {"lr_scale": 0.1}},
            "trainer.param_groups has the pattern 'feature.*', which matches no parameter of the model.\n"
            "  Did you mean 'features.*'? Parameters of the model: features.0.weight, features.0.bias, "
            "features.1.weight, features.1.bias, features.2.weight, features.2.bias, ….",
        ),
        (
            {"head": {"lr_scale": 0.1}},
            "trainer.param_groups has the pattern 'head', which matches no parameter of the model.\n"
            "  Did you mean 'head.*'? Parameters of the model: features.0.weight, features.0.bias, "
            "features.1.weight, features.1.bias, features.2.weight, features.2.bias, ….",
        ),
        (
            {"head.*": {"lr_scal": 0.1}},
            "trainer.param_groups.head.*.lr_scal: the optimizer 'adamw' has no such option.\n"
            "  Did you mean 'lr_scale'? Its options: lr_scale, weight_decay, betas, eps, amsgrad, maximize, foreach, "
            "fused.",
        ),
        (
            {"head.*": {"lr_scale": "half"}},
            "trainer.param_groups.head.*.lr_scale is 'half', but should be a number of at least 0.\n"
            "  Write for example 0.1.",
        ),
        (
            {"head.*": {"weight_decay": -1}},
            "trainer.param_groups.head.*.weight_decay is -1, but should be a number of at least 0.\n"
            "  Write for example 0.1.",
        ),
    ],
)
def test_a_pattern_that_cannot_be_used_is_refused(patterns, message):
    with pytest.raises(BadSetting) as raised:
        groups(param_groups=patterns)
    assert str(raised.value) == message


def test_weight_decay_by_pattern_needs_an_optimizer_that_has_it():
    with pytest.raises(BadSetting, match=r"head\.\*\.weight_decay is 0\.1, but the optimizer 'rprop' has no weight"):
        groups("rprop", param_groups={"head.*": {"weight_decay": 0.1}})


def test_a_learning_rate_of_a_group_is_told_to_be_a_scale():
    with pytest.raises(BadSetting) as refused:
        groups(param_groups={"head.*": {"lr": 0.1}})
    assert refused.value.message == (
        "trainer.param_groups.head.*.lr is 0.1, but the learning rate of a group is a multiple of "
        "trainer.learning_rate."
    )
    assert refused.value.hint == "Write lr_scale instead, for example `{'head.*': {lr_scale: 0.1}}`."


@pytest.mark.parametrize(
    "patterns",
    [
        {"*": {"lr_scale": 0.1}, "head.*": {"lr_scale": 2}},
        {"head.weight": {}, "head.bias": {}, "head.*": {"lr_scale": 2}},
    ],
)
def test_a_pattern_that_earlier_ones_leave_nothing_is_refused(patterns):
    with pytest.raises(BadSetting, match=r"'head\.\*', but '.+' comes before it and matches the same"):
        groups(param_groups=patterns)
