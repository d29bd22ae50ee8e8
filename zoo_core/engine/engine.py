"""The device, its precision and the processes: the one file that knows Accelerate."""

from __future__ import annotations

import atexit
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState, GradientState
from accelerate.utils import extract_model_from_parallel
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from zoo_core.config.recipe import RunSettings
from zoo_core.dataset import Batch
from zoo_core.engine.allocator import keeps_freed_memory
from zoo_core.engine.devices import find_device, find_precision
from zoo_core.engine.fsdp import full_tensor, shard
from zoo_core.engine.process_group import ProcessGroup
from zoo_core.errors import BadSetting
from zoo_core.trainer import M, Os

_PRECISIONS = {"float32": "no", "bfloat16": "bf16", "float16": "fp16"}


class AccelerateEngine:
    """:class:`zoo_core.Engine` on Hugging Face Accelerate. Under ``torchrun`` it joins the process group."""

    def __init__(self, settings: RunSettings) -> None:
        device = find_device(settings.device)
        if settings.threads is not None:
            torch.set_num_threads(settings.threads)
        if device.type == "cpu":
            keeps_freed_memory()
        else:
            torch.accelerator.set_device_index(_own_index(device))
            torch.use_deterministic_algorithms(True, warn_only=True)
        # Accelerate keeps one state for the whole process; a second run may want another device or precision.
        AcceleratorState._reset_state(reset_partial_state=not torch.distributed.is_initialized())
        GradientState._reset_state()
        self.precision = find_precision(settings.precision, device)
        self._accelerator = Accelerator(
            cpu=device.type == "cpu",
            mixed_precision=_PRECISIONS[self.precision],
            gradient_accumulation_steps=settings.grad_accumulation_steps,
        )
        if self.precision != "float32" and not self._accelerator.native_amp:
            raise BadSetting(
                f"run.precision is '{settings.precision}', but {device} does not have it.",
                "Write `run.precision=bfloat16`, or leave it out.",
            )
        self.device: torch.device = self._accelerator.device if device.type != "cpu" else device  # and not cpu:1
        self.total_steps = 0
        self.is_rank_zero: bool = self._accelerator.is_main_process
        self.rank: int = self._accelerator.process_index
        self.world: int = self._accelerator.num_processes
        self.fsdp, self._compile, self._parts = settings.fsdp, settings.compile, settings.grad_accumulation_steps
        self._first_part = self._sharing = True
        self._prepared: list[nn.Module] = []
        self.process_group = ProcessGroup(self.world)
        if settings.fsdp and self.world == 1:
            raise BadSetting(
                "run.fsdp divides a network among processes, but this run has one.", "Add `--processes 2`."
            )
        if settings.fsdp and self.precision == "float16":
            raise BadSetting("run.fsdp computes in float32 or bfloat16.", "Write `run.precision=bfloat16`.")
        if settings.sync_batch_norm and (self.world == 1 or device.type == "cpu"):
            raise BadSetting(
                "run.sync_batch_norm needs several processes, each on an accelerator: PyTorch has it for no CPU.",
                "Leave it out.",
            )

    @property
    def _alone(self) -> bool:
        """Modules and optimizers need no wrapper but autocast."""
        return self.world == 1 and self._accelerator.scaler is None and self._parts == 1

    def prepare(self, module: M, *optimizers: *Os) -> tuple[M, *Os]:
        if self.fsdp and (self._prepared or not optimizers):
            raise BadSetting(
                "run.fsdp is for one network and its optimizer, but the trainer has several networks.",
                "Leave it out: every process then holds all of them.",
            )
        if self._compile:
            module.compile()  # in place: names of parameters stay, and whoever unwraps it has it compiled, too
        if self._alone:  # Accelerate's optimizer looks for optional packages in every step
            return self._accelerator.prepare(module), *optimizers
        if self.fsdp:
            shard(module, optimizers, self.device, self.world, self.precision)  # type: ignore[arg-type]
            prepared: list[Any] = [module, *map(self._accelerator.prepare_optimizer, optimizers)]
        else:
            given = self._accelerator.prepare(module, *optimizers)
            prepared = list(given) if optimizers else [given]
        self._prepared.append(prepared[0])
        for optimizer in prepared[1:]:
            if self._parts > 1:
                optimizer.zero_grad = partial(self._zero_grad, optimizer.optimizer)
        return tuple(prepared)

    @property
    def updating(self) -> bool:
        return bool(self._accelerator.sync_gradients)

    def in_parts(self, batch: Batch) -> Iterator[Batch]:
        """The batch in ``run.grad_accumulation_steps`` parts; an optimizer's step waits for the last one."""
        if self._parts == 1:
            yield batch
            return
        for number in range(self._parts):
            self._first_part = number == 0
            with self._accelerator.accumulate(*self._prepared):
                yield Batch({key: value[_part(len(value), number, self._parts)] for key, value in batch.items()})

    def _zero_grad(self, optimizer: torch.optim.Optimizer, set_to_none: bool = True) -> None:
        """Accelerate's own would clear, before the last backward pass, what the others added up."""
        if self._first_part:
            optimizer.zero_grad(set_to_none)

    def backward(self, loss: Tensor, inputs: Iterable[nn.Parameter] | None = None) -> None:
        arguments = {} if inputs is None else {"inputs": list(inputs)}
        self._accelerator.backward(loss, **arguments)

    def clip(self, module: nn.Module, max_norm: float) -> Tensor:
        if not self.updating:
            return torch.zeros((), device=self.device)
        return full_tensor(self._accelerator.clip_grad_norm_(module.parameters(), max_norm))

    def unwrap(self, module: M) -> M:
        if self._alone:
            return module
        return self._accelerator.unwrap_model(module)  # type: ignore[no-any-return]

    def release(self, model: nn.Module) -> None:
        """Give ``model`` and the modules in it back the ``forward`` that ``prepare`` wrapped for a precision."""
        for module in model.modules():
            extract_model_from_parallel(module, keep_fp32_wrapper=False)

    def gather(self, tensor: Tensor) -> Tensor:
        return self._accelerator.gather(tensor)  # type: ignore[no-any-return]

    def sum(self, tensor: Tensor) -> Tensor:
        if self.world == 1 or not self._sharing:
            return tensor
        if tensor.device.type == "cpu":  # an accelerator's processes exchange what is on accelerators alone
            return self.process_group.sum(tensor)
        return self._accelerator.reduce(tensor, reduction="sum")  # type: ignore[no-any-return]

    def mean(self, tensor: Tensor) -> Tensor:
        """The mean over all processes."""
        return self.sum(tensor) / self.world if self.world > 1 else tensor

    def to_device(self, batch: Mapping[str, Any]) -> Batch:
        """The batch's tensors on the device."""
        if self.device.type == "cpu":
            return batch if isinstance(batch, Batch) else Batch(batch)
        return Batch({key: value.to(self.device, non_blocking=True) for key, value in batch.items()})

    @contextmanager
    def evaluating(self, held: Iterable[object], shared: bool = False) -> Iterator[None]:
        """Inside, a network's forward pass waits for no other process, and :meth:`sum` adds up only if the examples are
        ``shared``: otherwise each process has all. Buffers of the modules among ``held``, such as running statistics,
        are the first one's, which are saved."""
        modules = [one for one in held if isinstance(one, nn.Module)] if self.world > 1 else []
        for buffer in {id(buffer): buffer for module in modules for buffer in module.buffers()}.values():
            torch.distributed.broadcast(buffer, 0)
        wrapped = [one for one in self._prepared if isinstance(one, DistributedDataParallel)]
        for one in wrapped:
            # The wrapper's own would meet the other processes', if only to sort its buckets.
            one.forward = one.module.__call__  # type: ignore[method-assign]
        self._sharing = shared
        try:
            yield
        finally:
            self._sharing = True
            for one in wrapped:
                del one.forward

    def state_dict(self) -> dict[str, Any]:
        """What a run that goes on needs of the engine: how its gradients are scaled."""
        scaler = self._accelerator.scaler
        return {"scaler": scaler.state_dict()} if scaler is not None else {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        if "scaler" in state and self._accelerator.scaler is not None:
            self._accelerator.scaler.load_state_dict(dict(state["scaler"]))

    @contextmanager
    def flushing_denormals(self) -> Iterator[None]:
        """Inside, a CPU takes numbers below 1e-38, as in Adam's moments, for zero: they cost it many times as much."""
        on_cpu = self.device.type == "cpu"
        try:
            torch.set_flush_denormal(on_cpu)
            yield
        finally:
            torch.set_flush_denormal(False)  # the mode belongs to the whole process, and not to a run

    def close(self) -> None:
        """Wait until all processes are done: a launcher ends those that go on after one has left. The group is left as
        Python ends, since a second run in these processes could not form it again."""
        self._accelerator.wait_for_everyone()
        if torch.distributed.is_initialized():
            atexit.unregister(torch.distributed.destroy_process_group)
            atexit.register(torch.distributed.destroy_process_group)


def _own_index(device: torch.device) -> int:
    """The accelerator of this process, of those of the machine."""
    number, count = int(os.environ.get("LOCAL_RANK", 0)), torch.accelerator.device_count()
    if device.type == "mps" and int(os.environ.get("WORLD_SIZE", 1)) > 1:
        raise BadSetting("PyTorch trains in one process on mps.", "Leave out --processes, or write `--device cpu`.")
    if number >= count:
        raise BadSetting(
            f"this is process {number + 1} of its machine, which has {count} of {device.type}.",
            f"Write `--processes {count}`, or `--device cpu`.",
        )
    return device.index or number


def _part(length: int, number: int, parts: int) -> slice:
    size = length // parts
    return slice(number * size, (number + 1) * size)
