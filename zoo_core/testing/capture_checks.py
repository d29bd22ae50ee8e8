"""The check of whether a step can be captured as a CUDA graph, which finds the same reasons without CUDA."""

from __future__ import annotations

import traceback
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType
from typing import Any

import torch
from torch.optim import Optimizer
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from zoo_core.data.seeding import seed_step
from zoo_core.engine.held import held_optimizers
from zoo_core.engine.host_state import HostState
from zoo_core.engine.host_work import HostWork, line_of, watched
from zoo_core.errors import RunFailed
from zoo_core.testing.check import Skip, Subject, check
from zoo_core.testing.recipe_checks import built
from zoo_core.training.loop import Loop

_STEPS = 8
_WARM_UP = 3
# Those that PyTorch does not dispatch as operations.
_READS = {getattr(torch.Tensor, name) for name in ("tolist", "numpy", "__array__", "cpu", "__repr__")}
_READS |= {torch.tensor, torch.from_numpy}  # on CUDA they wait for a copy from the host

_INDEXING = (torch.ops.aten.index, torch.ops.aten.index_put, torch.ops.aten.index_put_)


@check(
    "recipe",
    "A step does work of the device only, so that it can be captured as a CUDA graph, which is several times faster.",
    "Move what reads values back, counts or schedules from step() to after_step().",
)
def step_can_be_captured(subject: Subject) -> None:
    reason = _captured(subject) if torch.cuda.is_available() else _work_of_the_host(subject)
    if reason:  # not a failure: the steps of the recipe are then performed as they are
        raise Skip(f"its steps are not captured, and slower on CUDA: {reason}")


def _captured(subject: Subject) -> str | None:
    """Why steps cannot be captured on this machine."""
    settings = ("run.device=cuda", "run.cuda_graph=on", "run.checkpoint_every=0")
    try:
        with TemporaryDirectory() as folder, built(subject, _STEPS, settings, Path(folder)) as loop:
            loop.train()
    except RunFailed as error:
        return error.message.partition(" cannot be captured: ")[2].removesuffix(".") or error.message
    return None


def _work_of_the_host(subject: Subject) -> str | None:
    """Why steps could not be captured, as far as a CPU can tell."""
    with built(subject, _STEPS) as loop:
        _rates_as_on_cuda(loop)
        for number in range(_WARM_UP):
            loop.run.trainer.step(_batch(loop, number))
            loop.run.trainer.after_step()
        loop.engine.may_read = False  # as on other devices after the first steps
        trainer, device = loop.run.trainer, loop.engine.device
        batch = _batch(loop, _WARM_UP)
        with watched(trainer, device) as work, _Functions(work), _Operations(work):
            trainer.step(batch)
        read = HostState(trainer, sorted(work.read), device)
        for number in range(_WARM_UP + 1, _STEPS):
            trainer.after_step()
            if changed := read.changed():
                work.found(f"step reads {changed}, which changes from step to step")
            trainer.step(_batch(loop, number))
    return work.reason


def _rates_as_on_cuda(loop: Loop) -> None:
    """Make the learning rates tensors that schedules change in place, where they are such tensors on CUDA."""
    for one in held_optimizers(vars(loop.run.trainer).values()):
        for group in one.param_groups:
            if ("capturable" in group and not group.get("foreach")) or group.get("fused"):
                group["lr"] = torch.as_tensor(group["lr"])


def _batch(loop: Loop, number: int) -> Any:
    batch = next(loop.batches)
    seed_step(loop.run.settings.seed, number, 0)
    return batch


class _Operations(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes operations whose result, or its shape, depends on values."""

    def __init__(self, work: HostWork) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.work = work

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        tags = {torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape} & set(function.tags)
        if (tags or function.overloadpacket in _INDEXING) and not _indexes_by_numbers(function, args):
            _note(self.work)
        return function(*args, **(kwargs or {}))


class _Functions(TorchFunctionMode):
    """Notes functions that give the values of a tensor to Python."""

    def __init__(self, work: HostWork) -> None:
        super().__init__()
        self.work = work

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if function in _READS:
            _note(self.work)
        return function(*args, **(kwargs or {}))


def _note(work: HostWork) -> None:
    if any(_reads_only_on_a_cpu(frame) for frame, _ in traceback.walk_stack(None)):
        return
    line = line_of(traceback.walk_stack(None))
    work.found(f"step reads a value back from the device ({line or 'in the backward pass'})")


def _reads_only_on_a_cpu(frame: FrameType) -> bool:
    """Whether it is the step of an optimizer whose counters are tensors on the device, on CUDA."""
    optimizer = frame.f_locals.get("self")
    return isinstance(optimizer, Optimizer) and "capturable" in optimizer.defaults


def _indexes_by_numbers(function: Any, args: Any) -> bool:
    """Whether it is an index whose result has a known shape: one by numbers and not by a mask."""
    if function.overloadpacket not in _INDEXING:
        return False
    return all(one is None or one.dtype not in (torch.bool, torch.uint8) for one in args[1])
