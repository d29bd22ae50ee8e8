"""Steps that are recorded once as a CUDA graph and then replayed, so that the device does not wait for Python."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Hashable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor

from zoo_core.dataset import Batch
from zoo_core.engine.host_state import HostState
from zoo_core.engine.host_work import line_of_error, watched
from zoo_core.engine.optimizers import fit_to_device
from zoo_core.engine.packed_metrics import PackedMetrics
from zoo_core.errors import one_line
from zoo_core.trainer import Metrics

_WARM_UP = 2  # steps in which libraries initialize and optimizers create their state; a third one is watched
_MOST_GRAPHS = 8  # each has memory of its own for the values between its operations
_FREE_CHANGES = 3  # changes of a value that the step reads, beyond one in _REPLAYS_PER_CHANGE replays
_REPLAYS_PER_CHANGE = 50

Recorded = tuple[Callable[[], None], Tensor]
"""What replays the operations, and the tensor that they write their result to."""


class Recorder(Protocol):
    """Records the operations of functions on a device. :class:`CudaGraphs` is one."""

    device: torch.device

    def beside(self) -> AbstractContextManager[None]:
        """Context of a step that is performed before its capture."""

    def __call__(self, function: Callable[[], Tensor], /) -> Recorded:
        """Record the operations of ``function`` without performing them."""


class Stepping(Protocol):
    """What has a step to perform: a trainer, or an object that trains something else."""

    def step(self, batch: Batch, /) -> Metrics:
        """Perform one optimization step."""


@dataclass
class _Graph:
    """The graph of one kind of step, or how far it is prepared."""

    inputs: Batch
    """Tensors that every step reads its batch from. With others, a compiled module might be compiled again."""
    warm: int = 0
    read: set[str] | None = None
    """Attributes of the trainer that the step reads, once they are known."""
    state: HostState | None = None
    replay: Callable[[], None] | None = None
    names: tuple[str, ...] = ()
    output: Tensor = field(default_factory=lambda: torch.empty(0))
    gradients: list[tuple[Tensor, Tensor | None]] = field(default_factory=list)
    """Parameters whose gradients the step adds to, with these gradients."""

    def filled(self, batch: Batch) -> Batch:
        """The inputs with the values of ``batch``; a mapping of its own, since a step may change it."""
        for name, tensor in self.inputs.items():
            tensor.copy_(batch[name])
        return Batch(self.inputs)


class CapturedSteps:
    """Performs the steps of a trainer: the first ones as they are, then as a graph if that gives the same result.

    A graph repeats operations on the device with the same addresses and numbers. Before the capture a step is watched,
    and before every replay the values that it reads on the host are compared with those at the capture. If one has
    changed, the step is captured again; if it changes too often, or the step does work of the host, steps are performed
    as they are from then on, which ``note`` is told once.

    Args:
        trainer: the trainer, after its setup.
        record: records a graph.
        variant: what else a step depends on; there is one graph for each value.
        note: called with the reason why steps are not captured.
    """

    def __init__(
        self,
        trainer: Stepping,
        record: Recorder,
        variant: Callable[[], Hashable],
        note: Callable[[str], None],
    ) -> None:
        self.trainer, self.record, self.variant, self.note = trainer, record, variant, note
        self.replays = self.changes = 0
        self.gave_up = False
        self._graphs: dict[Hashable, _Graph] = {}
        self._held: dict[Hashable, Batch] = {}

    def __call__(self, batch: Batch, *, may_capture: bool = True) -> Metrics:
        """Perform one step on ``batch``. With ``may_capture`` false it is performed as it is, for the first steps."""
        if self.gave_up:
            return self.trainer.step(batch)
        graph = self._graph(batch)
        if graph is None:
            return self.trainer.step(batch)
        if graph.replay and self._holds(graph):
            return self._replayed(graph, graph.replay, batch)
        if graph.warm < _WARM_UP or not may_capture:
            graph.warm += 1
            batch = graph.filled(batch)
            with self.record.beside():
                return self.trainer.step(batch)
        if graph.read is None:
            return self._watch(graph, batch)
        if not self._holds(graph) or not self._capture(graph, batch) or not graph.replay:
            return self(batch)
        return self._replayed(graph, graph.replay, batch)

    def hold(self, batch: Batch) -> Batch:
        """A copy of a batch that has the same addresses in every step, for what a step reads beside its argument."""
        if self.gave_up or not all(isinstance(one, Tensor) for one in batch.values()):
            return batch
        form = _form(batch)
        if form not in self._held:
            self._held[form] = _empty_like(batch)
        for name, tensor in self._held[form].items():
            tensor.copy_(batch[name])
        return Batch(self._held[form])

    def _graph(self, batch: Batch) -> _Graph | None:
        """That of batches of this form; None if they can't be captured."""
        if other := next((name for name, one in batch.items() if not isinstance(one, Tensor)), None):
            self._give_up(f"batches contain '{other}', which is not a tensor")
            return None
        form = (self.variant(), *_form(batch))
        if form not in self._graphs and len(self._graphs) == _MOST_GRAPHS:
            self._give_up(f"batches have more than {_MOST_GRAPHS} shapes")
            return None
        if form not in self._graphs:
            self._graphs[form] = _Graph(_empty_like(batch))
        return self._graphs[form]

    def _watch(self, graph: _Graph, batch: Batch) -> Metrics:
        """Perform a step as it is, and find out what it reads and whether it can be captured."""
        batch = graph.filled(batch)
        with self.record.beside(), watched(self.trainer, self.record.device) as work:
            metrics = self.trainer.step(batch)
        for name, value in metrics.items():
            if not isinstance(value, Tensor) or value.device.type == "cpu" != self.record.device.type:
                work.found(f"step returns '{name}', which is not on the device")
        if not metrics:
            work.found("step returns no metrics")
        graph.read, graph.gradients = work.read, []
        graph.state = HostState(self.trainer, sorted(work.read), self.record.device)
        if graph.state.unknown:
            work.found(f"step reads {graph.state.unknown}, whose changes would not be noticed")
        if work.reason:
            self._give_up(work.reason)
        return metrics

    def _holds(self, graph: _Graph) -> bool:
        """Whether what the step reads on the host is what it was. If it is not, the graph is forgotten."""
        changed = graph.state.changed() if graph.state else None
        if changed is None and all(one.grad is gradient for one, gradient in graph.gradients):
            return True
        graph.read = graph.state = graph.replay = None
        self.changes += 1
        if self.changes > _FREE_CHANGES + self.replays / _REPLAYS_PER_CHANGE:
            what = changed or "gradients that after_step clears"
            self._give_up(f"step reads {what}, which changes from step to step")
        return False

    def _capture(self, graph: _Graph, batch: Batch) -> bool:
        parameters = HostState(self.trainer, vars(self.trainer), self.record.device).parameters
        before = [one.grad for one in parameters]
        graph.filled(batch)

        def step() -> Tensor:
            metrics = self.trainer.step(Batch(graph.inputs))
            graph.names = tuple(metrics)
            return torch.stack([one.detach().float() for one in metrics.values()])

        try:
            graph.replay, graph.output = self.record(step)
        except Exception as error:  # of a plugin's code, or of CUDA: the step is then performed as it is
            for one, gradient in zip(parameters, before, strict=True):
                one.grad = gradient
            line = line_of_error(error)
            self._give_up(f"the capture failed{f' in {line}' if line else ''}: {one_line(str(error).strip())}")
            return False
        # A step that clears gradients leaves others than it found.
        pairs = zip(parameters, before, strict=True)
        graph.gradients = [(one, gradient) for one, gradient in pairs if gradient is None or one.grad is gradient]
        return True

    def _replayed(self, graph: _Graph, replay: Callable[[], None], batch: Batch) -> PackedMetrics:
        graph.filled(batch)
        replay()
        self.replays += 1
        return PackedMetrics(graph.names, graph.output.clone())

    def _give_up(self, reason: str) -> None:
        self.gave_up = True
        self._graphs.clear()
        self.note(reason)


def _form(batch: Batch) -> tuple[Hashable, ...]:
    """What a graph fixes of a batch besides the addresses."""
    return tuple((name, one.shape, one.stride(), one.dtype) for name, one in batch.items())


def _empty_like(batch: Batch) -> Batch:
    return Batch({name: torch.empty_like(one) for name, one in batch.items()})


def captured_steps(training: Stepping, device: torch.device) -> Callable[[Batch], Metrics]:
    """Return a function that performs ``training.step(batch)`` as a run performs the steps of a trainer.

    For trainings that are not runs, such as that of a classifier in an evaluation. On CUDA the first steps are
    performed as they are and then as a CUDA graph, with the same result. If the step does work of the host, a warning
    says so, and it is performed as it is; see `Trainer.step`. On other devices every step is performed as it is.

    Parameters
    ----------
    training : object
        An object with a method ``step(batch)`` that returns metrics, as that of a trainer. Its modules and optimizers
        are attributes. Schedules are advanced outside of ``step``.
    device : torch.device
        Device of its modules and batches.

    Returns
    -------
    callable
        ``perform(batch)``, which returns the metrics of a step.
    """
    fit_to_device(vars(training).values(), device)
    if device.type != "cuda":
        return training.step

    def note(why: str) -> None:
        warnings.warn(f"the steps of {type(training).__name__} are not captured as a CUDA graph: {why}.", stacklevel=2)

    return CapturedSteps(training, CudaGraphs(device), lambda: None, note)


class CudaGraphs:
    """Records CUDA graphs on a stream of their own, which the steps before a capture have to use as well."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]

    @contextmanager
    def beside(self) -> Iterator[None]:
        """Context of a step that is performed on the stream."""
        current = torch.cuda.current_stream(self.device)
        self.stream.wait_stream(current)
        with torch.cuda.stream(self.stream):
            yield
        current.wait_stream(self.stream)

    def __call__(self, function: Callable[[], Tensor]) -> Recorded:
        generator = torch.cuda.default_generators[self.device.index or torch.cuda.current_device()]
        seed, offset = generator.initial_seed(), generator.get_offset()
        graph = torch.cuda.CUDAGraph()
        self.stream.wait_stream(torch.cuda.current_stream(self.device))
        try:
            # Other threads, which write checkpoints and load data, may go on.
            with torch.cuda.graph(graph, stream=self.stream, capture_error_mode="thread_local"):
                output = function()
        except BaseException:
            # A capture that fails leaves the generator in the state of a capture.
            generator.graphsafe_set_state(torch.Generator(self.device).graphsafe_get_state())
            generator.manual_seed(seed)
            generator.set_offset(offset)
            raise
        torch.cuda.current_stream(self.device).wait_stream(self.stream)
        return graph.replay, output
