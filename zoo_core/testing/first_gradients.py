"""The gradients with which a trainer first updates its parameters, without what differs by chance between two runs."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim.optimizer import register_optimizer_step_pre_hook
from torch.utils._python_dispatch import TorchDispatchMode

from zoo_core.data.seeding import seed_step
from zoo_core.dataset import Batch
from zoo_core.engine.held import held
from zoo_core.testing.check import Skip
from zoo_core.training.loop import Loop

NUM_BATCHES = 3
_TOLERANCE = 1e-4  # of the norm: rounding is about 1e-6, while an equal mean of unequal parts is off by percents
_DRAW = 0.37  # takes the place of every random number, in units of the distribution
_IGNORED = 3 / 4  # of the target of half of the examples

Gradients = dict[str, Tensor]
"""By the number of the optimizer and the name of the parameter; ``steps/0``: how often optimizer 0 stepped."""


def first_gradients(loop: Loop, seed: int = 0) -> list[Gradients]:
    """The gradients of the first optimizer steps, for each of some batches. The parameters are not updated.

    Half of the examples of a batch have fewer targets than the others, if the trainer ignores an index.
    """
    found_modules = [one for one in held(vars(loop.run.trainer).values()) if isinstance(one, nn.Module)]
    modules = [loop.run.model, *map(loop.engine.unwrap, found_modules)]
    names = {id(one): name for module in modules for name, one in module.named_parameters()}
    found = []
    with _batch_statistics_off(modules), _ConstantDraws():  # type: ignore[no-untyped-call]
        for batch in islice(loop.batches, NUM_BATCHES):
            uneven = _unevenly_ignored(batch, loop)
            with _captured(names) as gradients:
                for part in loop.engine.in_parts(loop.engine.to_device(uneven)):
                    seed_step(seed, 0, 0)
                    loop.run.trainer.step(part)
            found.append(gradients)
    if not any(found):
        raise Skip("step() uses no optimizer of torch.optim")
    return found


def difference(expected: list[Gradients], actual: list[Gradients]) -> str:
    """How the gradients of the same batches differ, in words; empty if they agree up to rounding."""
    for one, other in zip(expected, actual, strict=True):
        if one.keys() != other.keys():
            return f"'{min(one.keys() ^ other.keys()).partition('/')[2]}' is updated in one of them only"
        for number in sorted({name.partition("/")[0] for name in one if not name.startswith("steps/")}):
            steps, other_steps = int(one[f"steps/{number}"]), int(other[f"steps/{number}"])
            if steps != other_steps:
                return f"an optimizer steps {other_steps} times instead of {steps}"
            names = [name for name in one if name.startswith(f"{number}/")]
            scale = torch.stack([one[name].norm() for name in names]).norm()
            distances = torch.stack([(one[name] - other[name]).norm() for name in names])
            if not distances.norm() <= _TOLERANCE * scale:
                name = names[int(distances.argmax())].partition("/")[2]
                return f"the gradients differ by {float(distances.norm() / scale):.1%}, most of all that of '{name}'"
    return ""


@contextmanager
def _captured(names: Mapping[int, str]) -> Iterator[Gradients]:
    """Context in which optimizers step with a learning rate of 0; gives the gradients of their first steps."""
    gradients: Gradients = {}
    numbers: dict[int, int] = {}

    def capture(optimizer: torch.optim.Optimizer, arguments: Any, named: Any) -> None:
        number = numbers.setdefault(id(optimizer), len(numbers))
        steps = gradients.setdefault(f"steps/{number}", torch.zeros(()))
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None and not steps:
                    name = names.get(id(parameter), f"parameter {len(gradients)}")
                    gradients[f"{number}/{name}"] = parameter.grad.detach().clone()
            rates.append((group, group["lr"]))
            group["lr"] = group["lr"] * 0
        steps += 1

    rates: list[tuple[dict[str, Any], Any]] = []
    handle = register_optimizer_step_pre_hook(capture)
    try:
        yield gradients
    finally:
        handle.remove()
        for group, rate in reversed(rates):
            group["lr"] = rate


def _unevenly_ignored(batch: Batch, loop: Loop) -> Batch:
    """The batch, where most of the targets of the first half of the examples, of all processes, are ignored.

    The index that is ignored is that of the trainer's setting ``ignore_index`` or similar. Without one the batch is
    returned as it is.
    """
    config = loop.run.trainer.config
    fields = dataclasses.fields(config) if dataclasses.is_dataclass(config) else ()
    values = [getattr(config, field.name) for field in fields if "ignore" in field.name]
    ignored = [value for value in values if type(value) is int]
    world, rank = loop.engine.world, loop.engine.rank
    if not ignored:
        return batch
    changed = {}
    for name, tensor in batch.items():
        integers = not tensor.is_floating_point() and not tensor.is_complex() and tensor.dtype != torch.bool
        if (
            integers
            and tensor.ndim > 1
            and torch.iinfo(tensor.dtype).min <= ignored[0] <= torch.iinfo(tensor.dtype).max
        ):
            tensor = tensor.clone()
            examples = max(0, world * len(tensor) // 2 - rank * len(tensor))
            tensor[:examples, : int(_IGNORED * tensor.shape[1])] = ignored[0]
        changed[name] = tensor
    return Batch(changed)


@contextmanager
def _batch_statistics_off(modules: list[nn.Module]) -> Iterator[None]:
    """Context in which batch normalization uses its running statistics, since those of a part are others."""
    norms = [one for module in modules for one in module.modules() if isinstance(one, _BatchNorm)]
    if any(one.running_mean is None for one in norms):
        raise Skip("it uses batch normalization without running statistics")
    modes = {id(one): one.training for one in norms}
    for norm in norms:
        norm.eval()
        norm.train = lambda mode=True, norm=norm: norm  # type: ignore[method-assign,misc]
    try:
        yield
    finally:
        for norm in {id(one): one for one in norms}.values():
            del norm.train
            norm.train(modes[id(norm)])


class _ConstantDraws(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Context in which PyTorch's random numbers are all the same, so that they do not depend on the size of a part."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if torch.Tag.nondeterministic_seeded not in func.tags:
            return result
        name = func.overloadpacket.__name__
        if name == "native_dropout":
            output, mask = result
            return output.copy_(args[0] / (1 - args[1]) if args[1] < 1 else 0), mask.fill_(True)
        return _constant(name, result, args)


def _constant(name: str, result: Any, args: Any) -> Any:
    """``result`` of the random operation ``name``, with numbers that do not depend on their position."""
    arguments = args[1:] if name.endswith("_") else args
    if name == "randperm":
        return result.copy_(torch.arange(len(result)))
    if name.startswith("bernoulli"):  # the probability, so that dropout changes nothing
        return result.copy_(torch.as_tensor(arguments[0] if arguments else 0.5))
    if name.startswith(("uniform", "normal")):
        given = list(arguments[:2])
        first, second = given + [0.0, 1.0][len(given) :]
        return result.copy_(torch.as_tensor(first + _DRAW * (second - first if name[0] == "u" else second)))
    if name.startswith("randint"):
        return result.fill_(args[0] if name == "randint" and len(args) > 2 else 0)
    if name.startswith("rand"):
        return result.fill_(_DRAW if result.is_floating_point() else 0)
    return result
