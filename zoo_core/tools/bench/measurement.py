"""What a measurement found, and what follows from it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn


@dataclass(frozen=True)
class Measured:
    """Calls of one kind, on one device."""

    what: str
    """``training step``, ``forward`` or ``predict``."""
    times: Sequence[float]
    """Seconds that each call took."""
    examples: int
    """Examples of a call; 0 where that has no number."""
    operations: int
    """Floating-point operations of a call, as PyTorch counts them: matrix products and convolutions; 0 where it found
    none or could not count."""
    peak: float
    """Operations a second of the same device's matrix products in the same precision, at their best."""

    def __post_init__(self) -> None:
        if not self.times:
            raise ValueError("nothing was measured")

    @property
    def per_second(self) -> float:
        return len(self.times) / math.fsum(self.times)

    def percentile(self, share: float) -> float:
        """The least time that ``share`` of the calls did not exceed, in seconds (the nearest-rank percentile)."""
        return sorted(self.times)[max(0, math.ceil(share * len(self.times)) - 1)]

    def figures(self) -> dict[str, Any]:
        """Everything by name, times in seconds; None where there is no such figure."""
        rate = self.operations * self.per_second
        return {
            "calls": len(self.times),
            "seconds": math.fsum(self.times),
            "per_second": self.per_second,
            "examples": self.examples or None,
            "examples_per_second": self.examples * self.per_second or None,
            "p50": self.percentile(0.5),
            "p90": self.percentile(0.9),
            "p99": self.percentile(0.99),
            "flops": self.operations or None,
            "flops_per_second": rate or None,
            "peak_flops_per_second": self.peak,
            "share_of_peak": rate / self.peak or None,
        }


@dataclass(frozen=True)
class Bench:
    """All that was measured of one model."""

    name: str
    model: str
    device: str
    precision: str
    threads: int | None
    """Threads of a CPU; None on an accelerator."""
    parameters: int
    weights_bytes: int
    peak_memory: int
    """The most memory at a time, in bytes: what PyTorch held of an accelerator, else the whole process's."""
    memory_before: int
    """What of it was taken before anything was built."""
    measured: Sequence[Measured]

    @classmethod
    def of(
        cls,
        name: str,
        kind: str,
        model: nn.Module,
        device: torch.device,
        precision: str,
        before: int,
        most: int,
        measured: Sequence[Measured],
    ) -> Bench:
        """What was measured of ``model``, registered as ``kind``, with what it is and took."""
        tensors = [*model.parameters(), *model.buffers()]
        return cls(
            name,
            kind,
            str(device),
            precision,
            torch.get_num_threads() if device.type == "cpu" else None,
            sum(parameter.numel() for parameter in model.parameters()),
            sum(tensor.numel() * tensor.element_size() for tensor in tensors),
            most,
            before,
            measured,
        )

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        told = {name: value for name, value in vars(self).items() if name != "measured"}
        return told | {"measured": {one.what: one.figures() for one in self.measured}}
