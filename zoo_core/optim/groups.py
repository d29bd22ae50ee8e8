"""The parameter groups of an optimizer: weight decay and learning rates by the kind and the name of a parameter."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any

from torch import nn
from torch.nn.modules.batchnorm import _NormBase

from zoo_core.config.optimizer import OptimizerConfig
from zoo_core.errors import BadSetting, in_yaml, nearest
from zoo_core.registry.entry import Entry
from zoo_core.registry.signature import parameters_of, read_options

_KEY = "trainer.param_groups"
_NORMALIZATION = (_NormBase, nn.GroupNorm, nn.LayerNorm, nn.RMSNorm)


def param_groups(module: nn.Module, config: OptimizerConfig, entry: Entry) -> list[dict[str, Any]]:
    """The groups, in the order of their first parameters. Parameters with the same options share one.

    Raises:
        BadSetting: for a pattern that matches nothing, and for an option that ``entry`` does not have.
    """
    parameters = dict(module.named_parameters())
    _refuse_unused_patterns(list(config.param_groups), list(parameters))
    options = {pattern: _options(entry, pattern, given) for pattern, given in config.param_groups.items()}
    decays = _takes_weight_decay(entry, config)
    undecayed = set() if config.decay_norms_and_biases else _norms_and_biases(module)
    groups: dict[str, dict[str, Any]] = {}
    for name, parameter in parameters.items():
        pattern = next((one for one in options if fnmatchcase(name, one)), None)
        given = dict(options[pattern]) if pattern is not None else {}
        group = {"lr": config.learning_rate * given.pop("lr_scale", 1.0)}
        if decays:
            group["weight_decay"] = 0.0 if id(parameter) in undecayed else config.weight_decay
        group |= given
        groups.setdefault(in_yaml(group), {"params": [], **group})["params"].append(parameter)
    return list(groups.values())


def _options(entry: Entry, pattern: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The options of one pattern, checked."""
    key = f"{_KEY}.{pattern}"
    own = {name: _number(f"{key}.{name}", given[name]) for name in ("lr_scale", "weight_decay") if name in given}
    if "weight_decay" in own and "weight_decay" not in parameters_of(entry):
        raise _no_weight_decay(entry, f"{key}.weight_decay", own["weight_decay"])
    if "lr" in given:
        raise BadSetting(
            f"{key}.lr is {in_yaml(given['lr'])}, but the learning rate of a group is a multiple of "
            "trainer.learning_rate.",
            f"Write lr_scale instead, for example `{{{in_yaml(pattern)}: {{lr_scale: 0.1}}}}`.",
        )
    others = {name: value for name, value in given.items() if name not in own}
    return own | read_options(entry, others, key, extra=("lr_scale", "weight_decay"))


def _number(key: str, value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = -1.0
    if isinstance(value, bool) or not 0 <= number < float("inf"):
        raise BadSetting(f"{key} is {in_yaml(value)}, but should be a number of at least 0.", "Write for example 0.1.")
    return number


def _takes_weight_decay(entry: Entry, config: OptimizerConfig) -> bool:
    takes = "weight_decay" in parameters_of(entry)
    if config.weight_decay and not takes:
        raise _no_weight_decay(entry, "trainer.weight_decay", config.weight_decay)
    return takes


def _no_weight_decay(entry: Entry, key: str, value: float) -> BadSetting:
    hint = "Leave it out." if key.startswith(_KEY) else f"Write `{key}=0`."
    return BadSetting(f"{key} is {value:g}, but the optimizer '{entry.name}' has no weight decay.", hint)


def _refuse_unused_patterns(patterns: list[str], names: list[str]) -> None:
    for number, pattern in enumerate(patterns):
        matched = [name for name in names if fnmatchcase(name, pattern)]
        before = {name: one for one in reversed(patterns[:number]) for name in names if fnmatchcase(name, one)}
        if matched and all(name in before for name in matched):
            raise BadSetting(
                f"{_KEY} has the pattern '{pattern}', but '{before[matched[0]]}' comes before it and matches the same "
                "parameters.",
                "The first pattern that matches counts: write the narrower one first, or leave one out.",
            )
        if not matched:
            parts = dict.fromkeys(f"{name.rpartition('.')[0]}.*" for name in names if "." in name)
            parts |= dict.fromkeys(f"{name.partition('.')[0]}.*" for name in names if "." in name)
            near = nearest(pattern, [*parts, *names])
            some = f"Parameters of the model: {', '.join(names[:6])}{', …' if len(names) > 6 else ''}."
            raise BadSetting(
                f"{_KEY} has the pattern '{pattern}', which matches no parameter of the model.",
                f"Did you mean '{near}'? {some}" if near else some,
            )


def _norms_and_biases(module: nn.Module) -> set[int]:
    """The identities of the parameters without weight decay."""
    norms = (one for one in module.modules() if isinstance(one, _NORMALIZATION))
    found = {id(parameter) for norm in norms for parameter in norm.parameters(recurse=False)}
    return found | {id(parameter) for parameter in module.parameters() if parameter.ndim < 2}
