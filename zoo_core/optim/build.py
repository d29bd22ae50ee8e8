"""Makes the optimizer and the schedule that the settings of a trainer name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from zoo_core.config.optimizer import OptimizerConfig
from zoo_core.errors import BadSetting, BrokenPlugin, ZooError, describe_type, raised
from zoo_core.optim.groups import param_groups
from zoo_core.registry.catalog import current
from zoo_core.registry.entry import Entry
from zoo_core.registry.named_in_settings import find_named
from zoo_core.registry.signature import parameters_of, read_options

_FUSED = (torch.optim.Adam, torch.optim.AdamW, torch.optim.SGD)  # on every device that has a fused step


def make_optimizer(module: nn.Module, config: OptimizerConfig, device: torch.device) -> Optimizer:
    """The optimizer ``config.optimizer`` of the parameters of ``module``.

    Raises:
        UnknownName: if there is none of this name.
        BadSetting: if it does not take its options.
        BrokenPlugin: if it can't be imported.
    """
    entry = find_named(current(), "optimizer", config.optimizer)
    factory, parameters = entry.load(), parameters_of(entry)
    options = read_options(entry, config.optimizer_options, "trainer.optimizer_options")
    groups = param_groups(module, config, entry)
    if not groups:
        raise BadSetting(f"the optimizer '{entry.name}' gets {describe_type(module)} without parameters.")
    if factory in _FUSED and "foreach" not in options and _has_fused_step(module, device):
        options = {"fused": True, **options}
    if "weight_decay" in parameters:
        options["weight_decay"] = config.weight_decay
    if "module" in parameters:
        options["module"] = module
    made = _made(entry, lambda: factory(groups, lr=config.learning_rate, **options), "optimizer_options")
    return cast(Optimizer, _of_type(entry, made, Optimizer))


def make_schedule(optimizer: Optimizer, config: OptimizerConfig, total_steps: int) -> LRScheduler:
    """The schedule ``config.schedule`` of the learning rates of ``optimizer``, for a run of ``total_steps``.

    Raises:
        UnknownName: if there is none of this name.
        BadSetting: if it does not take its options.
        BrokenPlugin: if it can't be imported.
    """
    entry = find_named(current(), "schedule", config.schedule)
    factory = entry.load()
    options = read_options(entry, config.schedule_options, "trainer.schedule_options")
    warmup_steps = _warmup_steps(config.warmup, total_steps)
    made = _made(entry, lambda: factory(optimizer, total_steps, warmup_steps, **options), "schedule_options")
    return cast(LRScheduler, _of_type(entry, made, LRScheduler))


def _warmup_steps(warmup: float, total_steps: int) -> int:
    if warmup >= 1 and warmup % 1:
        raise BadSetting(
            f"trainer.warmup is {warmup}, but should be a number of steps, or a fraction of the run below 1.",
            f"Write `trainer.warmup={round(warmup)}`.",
        )
    return round(warmup * total_steps) if warmup < 1 else int(warmup)


def note_on_warmup(config: OptimizerConfig, total_steps: int) -> str:
    """A line that says so if a run ends before its warm-up does; else ""."""
    warmup_steps = _warmup_steps(config.warmup, total_steps)
    if not 0 < total_steps < warmup_steps:
        return ""
    return (
        f"trainer.warmup is {warmup_steps:,} steps, but the run has {total_steps:,}: its learning rate rises to the "
        "end, and stays below trainer.learning_rate."
    )


def _has_fused_step(module: nn.Module, device: torch.device) -> bool:
    sparse = any(isinstance(one, (nn.Embedding, nn.EmbeddingBag)) and one.sparse for one in module.modules())
    return device.type in ("cpu", "cuda") and not sparse and all(one.is_floating_point() for one in module.parameters())


def _made(entry: Entry, make: Callable[[], Any], options: str) -> Any:
    """What ``make`` returns; its errors as those of the settings."""
    try:
        return make()
    except ZooError:
        raise
    except Exception as error:  # of a library's code, which checks its arguments
        raise BadSetting(
            f"the {entry.kind} '{entry.name}' refuses its settings: {raised(error)}.",
            f"`zoo info {entry.name}` shows its options, for trainer.{options}.",
        ) from error


def _of_type(entry: Entry, made: Any, kind: type[Any]) -> Any:
    if not isinstance(made, kind):
        raise BrokenPlugin(
            f"the {entry.kind} '{entry.full_name}' is {describe_type(made)}, but should be a "
            f"{kind.__module__.removesuffix('.optimizer')}.{kind.__name__}.",
            f"Ask the author of the plugin '{entry.plugin}' to register one.",
        )
    return made
