"""The result of a benchmark, and the statistics derived from it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn


@dataclass(frozen=True)
class Measurement:
    """The times of repeated calls of one function on one device."""

    name: str
    """``training step``, ``forward`` or ``predict``; several ways to perform a step have other names."""
    times: Sequence[float]
    """Seconds of each call."""
    examples: int
    """Examples per call; 0 if unknown."""
    operations: int
    """Floating-point operations per call, as PyTorch counts them (matrix products and convolutions); 0 if there are
    none, or they could not be counted."""
    peak: float
    """Operations per second of the fastest matrix products on the same device in the same precision."""
    synchronized: bool = True
    """Whether every call ended when the device had finished it. Otherwise only the sum of the times is meaningful."""
    launches: float | None = None
    """Kernels, and graphs of kernels, that the host starts per call, on a CUDA device."""
    busy: float | None = None
    """Seconds per call in which a CUDA device does something."""

    def __post_init__(self) -> None:
        if not self.times:
            raise ValueError("no times were measured")

    @property
    def per_second(self) -> float:
        return len(self.times) / math.fsum(self.times)

    def percentile(self, fraction: float) -> float:
        """The smallest time in seconds that ``fraction`` of the calls did not exceed (nearest-rank percentile)."""
        return sorted(self.times)[max(0, math.ceil(fraction * len(self.times)) - 1)]

    def as_dict(self) -> dict[str, Any]:
        """All statistics by name, times in seconds; None for those that could not be measured."""
        rate = self.operations * self.per_second
        on_cuda = {}
        if self.launches is not None and self.busy is not None:
            on_cuda = {"launches": self.launches, "idle_fraction": max(0.0, 1 - self.busy * self.per_second)}
        return {
            "calls": len(self.times),
            "seconds": math.fsum(self.times),
            "per_second": self.per_second,
            "examples": self.examples or None,
            "examples_per_second": self.examples * self.per_second or None,
            "p50": self.percentile(0.5) if self.synchronized else None,
            "p90": self.percentile(0.9) if self.synchronized else None,
            "p99": self.percentile(0.99) if self.synchronized else None,
            "flops": self.operations or None,
            "flops_per_second": rate or None,
            "peak_flops_per_second": self.peak,
            "peak_fraction": rate / self.peak or None,
            **on_cuda,
        }


@dataclass(frozen=True)
class Bench:
    """All measurements of one model, with its size and memory."""

    name: str
    model: str
    device: str
    precision: str
    threads: int | None
    """Number of CPU threads; None on an accelerator."""
    parameters: int
    weights_bytes: int
    peak_memory: int
    """Peak memory in bytes: what PyTorch allocated on an accelerator, otherwise that of the whole process."""
    memory_before: int
    """Memory in use before the model was built, in bytes."""
    measurements: Sequence[Measurement]
    notes: Sequence[str] = ()
    """What could not be measured, and why."""

    @classmethod
    def of_model(
        cls,
        name: str,
        model_name: str,
        model: nn.Module,
        device: torch.device,
        precision: str,
        memory_before: int,
        peak: int,
        measurements: Sequence[Measurement],
    ) -> Bench:
        """The benchmark of ``model``, which is registered as ``model_name``; memory is in bytes."""
        tensors = [*model.parameters(), *model.buffers()]
        return cls(
            name,
            model_name,
            str(device),
            precision,
            torch.get_num_threads() if device.type == "cpu" else None,
            sum(parameter.numel() for parameter in model.parameters()),
            sum(tensor.numel() * tensor.element_size() for tensor in tensors),
            max(peak, memory_before),  # the system counts its current and its peak memory to some pages only
            memory_before,
            measurements,
        )

    def as_dict(self) -> dict[str, Any]:
        """All values, with the statistics of each measurement by its name; can be written as JSON."""
        values = {name: value for name, value in vars(self).items() if name != "measurements"}
        return values | {"measurements": {one.name: one.as_dict() for one in self.measurements}}
