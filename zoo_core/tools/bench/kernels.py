"""What a CUDA device does during training steps, according to PyTorch's profiler."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch

_LAUNCHES = ("cudaLaunch", "cuLaunch", "cudaGraphLaunch", "cuGraphLaunch")
"""How the names of calls begin that start a kernel, or a graph of kernels."""


@dataclass(frozen=True)
class Span:
    """A call on the host, or work of the device."""

    name: str
    start: float
    """In seconds."""
    end: float
    on_device: bool


@dataclass(frozen=True)
class DeviceWork:
    """The work of a number of steps."""

    launches: int
    """Kernels, and graphs of kernels, that the host started."""
    busy: float
    """Seconds in which the device did something."""

    @classmethod
    def of(cls, spans: Iterable[Span]) -> DeviceWork:
        """Work that overlaps, on several streams, counts once."""
        launches, busy, until = 0, 0.0, float("-inf")
        for span in sorted(spans, key=lambda one: one.start):
            if span.on_device:
                busy += max(0.0, span.end - max(span.start, until))
                until = max(until, span.end)
            elif span.name.startswith(_LAUNCHES):
                launches += 1
        return cls(launches, busy)


def profiler() -> Any:
    """Records the calls of the host and the work of the device, if there is one, between its start and its stop."""
    activities = [torch.profiler.ProfilerActivity.CPU]
    if torch.cuda.is_available():
        activities.append(torch.profiler.ProfilerActivity.CUDA)
    return torch.profiler.profile(activities=activities, acc_events=True)


def spans(profile: Any) -> list[Span]:
    """What a stopped profiler has recorded."""
    return [
        Span(
            event.name,
            event.time_range.start / 1e6,
            event.time_range.end / 1e6,
            event.device_type.name != "CPU" and not event.is_user_annotation,
        )
        for event in profile.events()
    ]
