"""The device, its precision and the processes: the one file that knows Accelerate."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import extract_model_from_parallel
from torch import Tensor, nn

from zoo_core.dataset import Batch
from zoo_core.devices import find_device, find_precision
from zoo_core.errors import BadSetting
from zoo_core.recipes import RunSettings
from zoo_core.trainer import M, Os

_PRECISIONS = {"float32": "no", "bfloat16": "bf16", "float16": "fp16"}


class AccelerateEngine:
    """:class:`zoo_core.Engine` on Hugging Face Accelerate. Under ``torchrun`` it joins the process group."""

    def __init__(self, settings: RunSettings) -> None:
        device = find_device(settings.device)
        if settings.threads is not None:
            torch.set_num_threads(settings.threads)
        if device.type != "cpu":
            torch.accelerator.set_device_index(device.index or int(os.environ.get("LOCAL_RANK", 0)))
            torch.use_deterministic_algorithms(True, warn_only=True)
        # Accelerate keeps one state for the whole process; a second run may want another device or precision.
        AcceleratorState._reset_state(reset_partial_state="LOCAL_RANK" not in os.environ)
        self.precision = find_precision(settings.precision, device)
        self._accelerator = Accelerator(cpu=device.type == "cpu", mixed_precision=_PRECISIONS[self.precision])
        if self.precision != "float32" and not self._accelerator.native_amp:
            raise BadSetting(
                f"run.precision is '{settings.precision}', but {device} does not have it.",
                "Write `run.precision=bfloat16`, or leave it out.",
            )
        self.device: torch.device = self._accelerator.device
        self.total_steps = 0
        self.is_main: bool = self._accelerator.is_main_process
        self.rank: int = self._accelerator.process_index
        self.world: int = self._accelerator.num_processes

    @property
    def _alone(self) -> bool:
        """One process without a gradient scaler: module and optimizers need no wrapper but autocast."""
        return self.world == 1 and self._accelerator.scaler is None

    def prepare(self, module: M, *optimizers: *Os) -> tuple[M, *Os]:
        if self._alone:  # Accelerate's optimizer looks for optional packages in every step
            return self._accelerator.prepare(module), *optimizers
        if not optimizers:
            return (self._accelerator.prepare(module),)  # type: ignore[return-value]
        return self._accelerator.prepare(module, *optimizers)  # type: ignore[no-any-return]

    def backward(self, loss: Tensor, inputs: Iterable[nn.Parameter] | None = None) -> None:
        arguments = {} if inputs is None else {"inputs": list(inputs)}
        self._accelerator.backward(loss, **arguments)

    def clip(self, module: nn.Module, max_norm: float) -> Tensor:
        return self._accelerator.clip_grad_norm_(module.parameters(), max_norm)  # type: ignore[no-any-return]

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

    def to_device(self, batch: Mapping[str, Any]) -> Batch:
        """The batch's tensors on the device."""
        if self.device.type == "cpu":
            return batch if isinstance(batch, Batch) else Batch(batch)
        return Batch({key: value.to(self.device, non_blocking=True) for key, value in batch.items()})

    def agree(self, flag: bool) -> bool:
        """Whether any process raises ``flag``: all of them stop at one step, or none does."""
        if self.world == 1:
            return flag
        return bool(self.gather(torch.tensor([int(flag)], device=self.device)).any())

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
        """Leave the process group, if there is one."""
        self._accelerator.end_training()
