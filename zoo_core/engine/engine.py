"""Device, precision and processes of a run. The only module that imports Accelerate."""

from __future__ import annotations

import atexit
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState, GradientState
from accelerate.utils import DistributedDataParallelKwargs, extract_model_from_parallel
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from zoo_core.config.optimizer import OptimizerConfig
from zoo_core.config.run_settings import RunSettings
from zoo_core.dataset import Batch
from zoo_core.engine.allocator import keep_freed_memory
from zoo_core.engine.compiling import compile_module, not_compiled, uses_own_graphs
from zoo_core.engine.data_parallel import check_complete, check_equal, watch
from zoo_core.engine.deterministic import use_deterministic_algorithms
from zoo_core.engine.devices import find_device, local_device_index, refuse_unsupported
from zoo_core.engine.fsdp import full_tensor, shard
from zoo_core.engine.held import held, held_optimizers
from zoo_core.engine.optimizers import fit_to_device
from zoo_core.engine.precision import AUTOCAST, find_precision, set_precision
from zoo_core.engine.process_group import ProcessGroup
from zoo_core.errors import BadSetting
from zoo_core.optim.averages import averages_in_place
from zoo_core.optim.build import make_optimizer, make_schedule, note_on_warmup
from zoo_core.registry.process_state import flushing
from zoo_core.trainer import M, Os


class AccelerateEngine:
    """Implements :class:`zoo_core.Engine` with Hugging Face Accelerate; joins the process group under ``torchrun``."""

    def __init__(self, settings: RunSettings) -> None:
        device = find_device(settings.device)
        if settings.threads is not None:
            torch.set_num_threads(settings.threads)
        if device.type == "cpu":
            keep_freed_memory()
        else:
            torch.accelerator.set_device_index(local_device_index(device))
        if settings.deterministic:
            use_deterministic_algorithms(device)
        # Accelerate's state is global, but a second run in this process may use another device or precision.
        AcceleratorState._reset_state(reset_partial_state=not torch.distributed.is_initialized())
        GradientState._reset_state()
        self.precision = find_precision(settings.precision, device)
        self._accelerator = Accelerator(
            cpu=device.type == "cpu",
            mixed_precision=AUTOCAST[self.precision],
            gradient_accumulation_steps=settings.grad_accumulation_steps,
            kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=settings.find_unused_parameters)],
        )
        set_precision(self.precision, device)  # after Accelerate, which may set it as well
        if AUTOCAST[self.precision] != "no" and not self._accelerator.native_amp:
            raise BadSetting(
                f"run.precision is '{settings.precision}', but {device} does not support it.",
                "Write `run.precision=bfloat16`, or leave it out.",
            )
        # Accelerate's is cpu:1 in the second process.
        self.device: torch.device = device if device.type == "cpu" else self._accelerator.device
        self.total_steps = 0
        self.notes: list[str] = []  # what a run warns of, found while its trainer was set up
        self.is_rank_zero: bool = self._accelerator.is_main_process
        self.rank: int = self._accelerator.process_index
        self.world: int = self._accelerator.num_processes
        self.grad_accumulation_steps = settings.grad_accumulation_steps
        self.fsdp, self._compile, self._freezes = settings.fsdp, settings.compile, bool(settings.freeze)
        self.uses_own_graphs = uses_own_graphs(settings.compile)
        self._first_part = self._reducing = self.may_read = True
        self._prepared: list[nn.Module] = []
        self._whole: Batch | None = None  # the batch that is passed to the trainer in parts
        self.process_group = ProcessGroup(self.world)
        refuse_unsupported(settings, self.world, self.precision, device)

    @property
    def _alone(self) -> bool:
        """Whether modules and optimizers need no wrapper other than autocast."""
        return self.world == 1 and self._accelerator.scaler is None and self.grad_accumulation_steps == 1

    def prepare(self, module: M, *optimizers: *Os) -> tuple[M, *Os]:
        if self.fsdp and (self._prepared or not optimizers):
            raise BadSetting(
                "run.fsdp supports one network with its optimizer, but the trainer has several networks.",
                "Leave it out; every process then holds all networks.",
            )
        fit_to_device(optimizers, self.device)
        compile_module(module, self._compile)
        if self._alone:  # Accelerate's optimizer wrapper checks for optional packages in every step
            return self._accelerator.prepare(module), *optimizers
        if self.fsdp:
            shard(module, optimizers, self.device, self.world, self.precision)  # type: ignore[arg-type]
            prepared: list[Any] = [module, *map(self._accelerator.prepare_optimizer, optimizers)]
        else:
            wrapped = self._accelerator.prepare(module, *optimizers)
            prepared = list(wrapped) if optimizers else [wrapped]
        fit_to_device(prepared[1:], self.device)  # Accelerate loads their state again
        self._prepared.append(prepared[0])
        if isinstance(prepared[0], DistributedDataParallel):
            watch(prepared[0], optimizers)  # type: ignore[arg-type]
        for optimizer in prepared[1:]:
            if self.grad_accumulation_steps > 1:
                optimizer.zero_grad = partial(self._zero_grad, optimizer.optimizer)
        return tuple(prepared)

    def optimizer(self, module: M, config: OptimizerConfig) -> tuple[M, Optimizer, LRScheduler]:
        made = make_optimizer(module, config, self.device)
        schedule = make_schedule(made, config, self.total_steps)
        if note := note_on_warmup(config, self.total_steps):
            self.notes.append(note)
        prepared, optimizer = self.prepare(module, made)
        return prepared, optimizer, schedule

    @property
    def updating(self) -> bool:
        return bool(self._accelerator.sync_gradients)

    def in_parts(self, batch: Batch) -> Iterator[Batch]:
        """Split the batch into ``run.grad_accumulation_steps`` parts; optimizers step after the last one only."""
        if self.grad_accumulation_steps == 1:
            yield batch
        else:
            self._whole = batch
            for number in range(self.grad_accumulation_steps):
                self._first_part = number == 0
                with self._accelerator.accumulate(*self._prepared):
                    yield Batch(
                        {
                            key: value[_part(len(value), number, self.grad_accumulation_steps)]
                            for key, value in batch.items()
                        }
                    )
            self._whole = None
        for wrapper in self._wrappers():
            check_complete(wrapper)

    @property
    def why_not_captured(self) -> str:
        """Why steps on this device cannot be recorded as a CUDA graph, or ""."""
        if self.device.type != "cuda":
            return f"the device is {self.device.type}"
        if self.world > 1:
            return "the run has several processes"
        if self.fsdp:
            return "run.fsdp is set"
        if self.uses_own_graphs:
            return "the mode of run.compile captures graphs of its own"
        return ""

    @property
    def runs_ahead(self) -> bool:
        """Whether the device computes steps while this process, which must be the only one, prepares later ones."""
        return self.device.type != "cpu" and self.world == 1

    @property
    def part_of_batch(self) -> tuple[bool, bool]:
        """What a step does beside its arithmetic depends on: whether it is the first part of a batch, and the last."""
        return self._first_part, self.updating

    def normalizer(self, batch: Batch, count: Callable[[Batch], Tensor]) -> Tensor:
        total = torch.as_tensor(count(batch if self._whole is None else self._whole)).detach()
        if self.world * self.grad_accumulation_steps > 1:
            # Accelerate divides by the number of parts, and DistributedDataParallel by that of processes.
            total = self.sum(total) / (self.world * (1 if self._whole is None else self.grad_accumulation_steps))
        return total.where(total > 0, 1)  # a loss of nothing is 0 / 1

    def _zero_grad(self, optimizer: torch.optim.Optimizer, set_to_none: bool = True) -> None:
        """Clear gradients before the first part only. Accelerate's own clears them before the last one."""
        if self._first_part:
            optimizer.zero_grad(set_to_none)

    def backward(self, loss: Tensor, inputs: Iterable[nn.Parameter] | None = None) -> None:
        arguments: dict[str, Any] = {}
        if inputs is not None:
            arguments["inputs"] = [one for one in inputs if one.requires_grad or not self._freezes]
        if self._freezes and not (loss.requires_grad and arguments.get("inputs", True)):
            return  # all that it depends on is frozen, as one of two networks may be
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
        """Restore the original ``forward`` of ``model`` and its submodules, which ``prepare`` wrapped in autocast."""
        for module in model.modules():
            extract_model_from_parallel(module, keep_fp32_wrapper=False)

    def gather(self, tensor: Tensor) -> Tensor:
        if self.world > 1 and tensor.requires_grad:  # as in sum
            parts = list(self.gather(tensor.detach()).chunk(self.world))
            parts[self.rank] = parts[self.rank] + self.world * (tensor - tensor.detach())
            return torch.cat(parts)
        return self._accelerator.gather(tensor)  # type: ignore[no-any-return]

    def sum(self, tensor: Tensor) -> Tensor:
        if self.world == 1 or not self._reducing:
            return tensor
        if tensor.requires_grad:  # processes average their gradients, which then are those of the sum
            return self.sum(tensor.detach()) + self.world * (tensor - tensor.detach())
        if tensor.device.type == "cpu":  # NCCL reduces tensors on accelerators only
            return self.process_group.sum(tensor)
        return self._accelerator.reduce(tensor, reduction="sum")  # type: ignore[no-any-return]

    def mean(self, tensor: Tensor) -> Tensor:
        """The mean over all processes."""
        return self.sum(tensor) / self.world if self.world > 1 else tensor

    def check_in_step(self, step: int, modules: Iterable[object]) -> None:
        """Check after some steps, ever fewer, that all processes have the same parameters.

        Raises:
            RunFailed: if they differ.
        """
        if self.world > 1 and step.bit_count() == 1:
            check_equal([one for one in held(modules) if isinstance(one, nn.Module)], self.process_group)

    def _wrappers(self) -> list[DistributedDataParallel]:
        return [module for module in self._prepared if isinstance(module, DistributedDataParallel)]

    def to_device(self, batch: Mapping[str, Any]) -> Batch:
        """The batch with its tensors on the device."""
        if self.device.type == "cpu":
            return batch if isinstance(batch, Batch) else Batch(batch)
        return Batch(
            {
                key: value.to(self.device, non_blocking=True) if isinstance(value, Tensor) else value
                for key, value in batch.items()
            }
        )

    @contextmanager
    def evaluating(self, state: Iterable[object], shared: bool = False) -> Iterator[None]:
        """Context of an evaluation, in which forward passes do not synchronize with other processes.

        The parameters of optimizers that average weights hold the averages.

        Args:
            state: what the trainer holds. Buffers of its modules, such as running statistics, are set to those of the
                first process, which are the ones that checkpoints save.
            shared: whether the examples are split among the processes, so that :meth:`sum` adds up over them.
                Otherwise each process evaluates all examples, and :meth:`sum` returns its argument.
        """
        holders = list(held(state))
        modules = [one for one in holders if isinstance(one, nn.Module)] if self.world > 1 else []
        for buffer in {id(buffer): buffer for module in modules for buffer in module.buffers()}.values():
            torch.distributed.broadcast(buffer, 0)
        wrappers = self._wrappers()
        for wrapper in wrappers:
            # DistributedDataParallel's forward synchronizes with the other processes, if only to rebuild its buckets.
            wrapper.forward = wrapper.module.__call__  # type: ignore[method-assign]
        self._reducing = shared
        try:
            with not_compiled(self._compile), averages_in_place(held_optimizers(holders)):
                yield
        finally:
            self._reducing = True
            for wrapper in wrappers:
                del wrapper.forward

    def state_dict(self) -> dict[str, Any]:
        """State that a resumed run needs: that of the gradient scaler, if there is one."""
        scaler = self._accelerator.scaler
        return {"scaler": scaler.state_dict()} if scaler is not None else {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        if "scaler" in state and self._accelerator.scaler is not None:
            self._accelerator.scaler.load_state_dict(dict(state["scaler"]))

    @contextmanager
    def flushing_denormals(self) -> Iterator[None]:
        """Context in which the CPU flushes denormal numbers (below 1e-38) to zero.

        They occur in Adam's moments, and arithmetic on them is many times slower.
        """
        with flushing(self.device.type == "cpu"):  # the mode is per process, not per run
            yield

    def close(self) -> None:
        """Wait until all processes are done, since a launcher ends the others when one exits.

        The process group is destroyed at exit only, because a second run in these processes could not create it again.
        """
        self._accelerator.wait_for_everyone()
        if torch.distributed.is_initialized():
            atexit.unregister(torch.distributed.destroy_process_group)
            atexit.register(torch.distributed.destroy_process_group)


def _part(length: int, number: int, parts: int) -> slice:
    return slice(number * (length // parts), (number + 1) * (length // parts))
