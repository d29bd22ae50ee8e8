"""The metrics of the steps since the last log line, read from the device all at once."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from zoo_core.data.prefetch import pins
from zoo_core.engine.packed_metrics import PackedMetrics
from zoo_core.errors import RunFailed, describe_type
from zoo_core.trainer import Metrics

_RESERVED = ("step", "epoch", "evaluation")  # other keys of a line of metrics.jsonl


@dataclass(frozen=True)
class _Copies:
    """The metrics of some steps, which are being copied from the device."""

    steps: dict[str, list[int]]
    stacked: dict[str, Tensor]
    packed: list[tuple[tuple[str, ...], list[int], Tensor]]
    """Names, steps, and values (steps, names)."""
    arrived: list[torch.Event]
    """When the values are there; none if they are."""


class MetricAccumulator:
    """Collects the metrics of steps. Reading waits for the device, so it is done every ``run.log_every`` steps.

    ``mean`` gives a tensor's mean over all processes, each of which reports what it found in its share of a batch.
    ``source`` is what errors call the step.
    """

    def __init__(
        self, mean: Callable[[Tensor], Tensor] = lambda tensor: tensor, source: str = "step of the trainer"
    ) -> None:
        self._mean, self._source = mean, source
        self._steps: dict[str, list[int]] = {}
        self._values: dict[str, list[Tensor]] = {}
        self._fetched: dict[str, list[float]] = {}
        self._places: dict[str, dict[int, None]] = {}  # addresses of the last metrics, in order
        self._packed: dict[tuple[str, ...], tuple[list[int], list[Tensor]]] = {}
        self._requested: deque[_Copies] = deque()

    def add(self, step: int, metrics: Metrics) -> None:
        if isinstance(metrics, PackedMetrics):
            if metrics.names not in self._packed:
                for name in metrics.names:
                    check_metric(name, self._source)
            steps, values = self._packed.setdefault(metrics.names, ([], []))
            steps.append(step)
            values.append(metrics.packed)
            return
        if not isinstance(metrics, Mapping):
            raise RunFailed(
                f"{self._source} returns {describe_type(metrics)}, but should return a mapping from names to tensors.",
                "Return for example {'loss': loss.detach()}.",
            )
        for name, value in metrics.items():
            if not isinstance(value, Tensor) or value.ndim or name not in self._values:
                value = self._checked(name, value)
            # One that is kept by the trainer is changed in place by a later step.
            places, place = self._places.setdefault(name, {}), value.data_ptr()
            if not places or place in places or value._version:
                value = value.detach().clone()
            places[place] = None
            self._steps.setdefault(name, []).append(step)
            self._values.setdefault(name, []).append(value)

    def _checked(self, name: str, value: Any) -> Tensor:
        check_metric(name, self._source)
        if isinstance(value, (int, float)):
            return torch.tensor(float(value))
        if not isinstance(value, Tensor) or value.ndim:
            raise RunFailed(
                f"{self._source} gives {describe_type(value)} as '{name}', but should give one number.",
                "Give a scalar tensor, for example `loss.detach().mean()`.",
            )
        return value

    def request(self) -> None:
        """Begin to copy the collected metrics from the device. The next :meth:`read` gives these, and no later ones."""
        steps, values, self._steps, self._values = self._steps, self._values, {}, {}
        packed, self._packed = self._packed, {}
        self._places = {name: {next(reversed(places)): None} for name, places in self._places.items()}
        stacked = {name: self._mean(torch.stack(series).detach().float()) for name, series in values.items()}
        vectors = [(names, later, self._mean(torch.stack(series))) for names, (later, series) in packed.items()]
        sources = {one.device for one in (*stacked.values(), *(one for _, _, one in vectors))}
        copies = _Copies(
            steps,
            {name: _to_host(one) for name, one in stacked.items()},
            [(names, later, _to_host(one)) for names, later, one in vectors],
            [torch.accelerator.current_stream(one).record_event() for one in sources if pins(one)],
        )
        self._requested.append(copies)

    def read(self) -> dict[str, float]:
        """The mean of each metric since the last call.

        Raises:
            RunFailed: if a value was NaN or infinite; it names the first such step and the metric.
        """
        if not self._requested:
            self.request()
        self._fetch(self._requested.popleft())
        series, self._fetched = self._fetched, {}
        return {name: float(torch.tensor(values, dtype=torch.float32).mean()) for name, values in series.items()}

    def fetch(self) -> None:
        """Copy the collected metrics from the device, and keep them for :meth:`read`.

        Raises:
            RunFailed: if a value is NaN or infinite; it names the first such step and the metric.
        """
        self.request()
        while self._requested:
            self._fetch(self._requested.popleft())

    def _fetch(self, copies: _Copies) -> None:
        for event in copies.arrived:
            event.synchronize()
        steps, stacked = copies.steps, copies.stacked
        for names, later, values in copies.packed:
            for name, series in zip(names, values.unbind(1), strict=True):
                numbers = torch.tensor([*steps.get(name, []), *later])
                order = numbers.argsort(stable=True)  # the mean of numbers depends on their order
                stacked[name] = torch.cat([stacked[name], series])[order] if name in stacked else series
                steps[name] = numbers[order].tolist()
        bad = [
            (steps[name][index], name, float(series[index]))
            for name, series in stacked.items()
            for index in (~series.isfinite()).nonzero()[:1]
        ]
        if bad:
            step, name, value = min(bad)
            raise RunFailed(
                f"{name} is {value} at step {step}.",
                "Lower the learning rate, or clip gradients; the last checkpoint is from before.",
            )
        for name, series in stacked.items():
            self._fetched.setdefault(name, []).extend(series.tolist())

    def state_dict(self) -> dict[str, Any]:
        """What was fetched and not read, so that a resumed run logs the same means."""
        return dict(self._fetched)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._fetched = {name: list(values) for name, values in state.items()}


def _to_host(tensor: Tensor) -> Tensor:
    """The tensor on the CPU, which may still be on its way, to page-locked memory, if the device can do that."""
    return tensor.to("cpu", non_blocking=pins(tensor.device))


def check_metric(name: Any, source: str) -> None:
    """Raises RunFailed if ``name``, which ``source`` gives, cannot be the name of a metric."""
    if not isinstance(name, str):
        why = "is not a string"
    elif name in _RESERVED:
        why = "is reserved in metrics.jsonl"
    elif not name.strip() or not name.isprintable():
        why = "is empty" if not name.strip() else "contains a character that can't be printed"
    else:
        return
    raise RunFailed(f"{source} gives a metric named {name!r}, which {why}.", "Give it another name in the trainer.")
