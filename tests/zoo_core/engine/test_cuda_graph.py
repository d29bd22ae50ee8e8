"""A step that is captured gives the same result as one that is performed, or is performed. CUDA has a stand-in here."""

from __future__ import annotations

import copy
import logging
import random
import re
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from replaying import Replaying
from torch import Tensor, nn
from torch._dynamo.testing import CompileCounter

import zoo_core as zoo
from zoo_core.engine.cuda_graph import CapturedSteps
from zoo_core.engine.packed_metrics import PackedMetrics


class Line(zoo.Trainer):
    """Fits a line; ``scale`` is read by every step, and ``steps`` by none."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.model = nn.Sequential(nn.Linear(2, 4), nn.Dropout(0.5), nn.Linear(4, 1))
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.1, momentum=0.9)
        self.scale, self.steps = 1.0, 0
        self.held = SimpleNamespace(numbers=[1.0, 2.0])

    def setup(self, model: Any, engine: Any) -> None:
        """Nothing to do."""

    def step(self, batch: zoo.Batch) -> zoo.Metrics:
        loss = self.scale * self.held.numbers[0] * self.model(batch["point"]).square().mean()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return {"loss": loss.detach(), "double": 2 * loss.detach()}

    def after_step(self) -> None:
        self.steps += 1


def batch(step: int, count: int = 8) -> zoo.Batch:
    return zoo.Batch(point=torch.randn(count, 2, generator=torch.Generator().manual_seed(step)))


class Outcome:
    """The losses and weights of a training of ``steps`` steps, with or without captures."""

    def __init__(
        self, kind: type[Line], steps: int = 30, counts: tuple[int, ...] = (8,), captures: bool = True
    ) -> None:
        self.trainer = kind()
        self.recorder, self.notes = Replaying(self.trainer), []
        self.steps = CapturedSteps(self.trainer, self.recorder, lambda: None, self.notes.append)
        perform = self.steps if captures else self.trainer.step
        self.losses = []
        for step in range(steps):
            torch.manual_seed(step)
            self.losses.append(float(perform(batch(step, counts[step % len(counts)]))["loss"]))
            self.trainer.after_step()
        self.weights = [one.detach().clone() for one in self.trainer.model.parameters()]


def outcome(kind: type[Line], **arguments: Any) -> Outcome:
    """The training with captures, which is required to equal the one without."""
    found, expected = Outcome(kind, **arguments), Outcome(kind, captures=False, **arguments)
    assert found.losses == expected.losses
    assert all(map(torch.equal, found.weights, expected.weights))
    return found


def test_a_step_is_captured_after_three_that_are_performed_and_replayed_from_then_on():
    found = outcome(Line)
    assert (found.recorder.recorded, found.steps.replays, found.notes) == (1, 27, [])


def test_a_replayed_step_gives_its_metrics_in_one_tensor():
    trainer = Line()
    steps = CapturedSteps(trainer, Replaying(trainer), lambda: None, pytest.fail)
    metrics = [steps(batch(0)) for _ in range(5)][-1]
    assert isinstance(metrics, PackedMetrics)
    assert (list(metrics), metrics.packed.shape) == (["loss", "double"], (2,))
    assert float(metrics["double"]) == 2 * float(metrics["loss"])
    with pytest.raises(KeyError):
        metrics["other"]


def test_each_shape_of_batches_has_a_graph_of_its_own():
    found = outcome(Line, steps=40, counts=(8, 5))
    assert (found.recorder.recorded, found.steps.replays, found.notes) == (2, 34, [])


def test_many_shapes_of_batches_are_performed_as_they_are():
    found = outcome(Line, steps=90, counts=tuple(range(1, 11)))
    assert found.notes == ["batches have more than 8 shapes"]


def test_batches_with_texts_are_performed_as_they_are():
    trainer, notes = Line(), []
    steps = CapturedSteps(trainer, Replaying(trainer), lambda: None, notes.append)
    for step in range(6):
        steps(zoo.Batch({**batch(step), "names": ["a"] * 8}))
    assert (notes, steps.replays) == (["batches contain 'names', which is not a tensor"], 0)


class Scheduled(Line):
    def after_step(self) -> None:
        super().after_step()
        if self.steps in (10, 20):
            self.change()

    def change(self) -> None:
        self.scale /= 2


class InAnObject(Scheduled):
    def change(self) -> None:
        self.held.numbers[0] /= 2


class OfAModule(Scheduled):
    def change(self) -> None:
        self.model[1].p /= 2


class Evaluating(Scheduled):
    def change(self) -> None:
        self.model.train(not self.model.training)


class OfTheOptimizer(Scheduled):
    def change(self) -> None:
        self.optimizer.param_groups[0]["lr"] /= 2


class OtherWeights(Scheduled):
    def change(self) -> None:
        self.model[0].weight.data = self.model[0].weight.detach() / 2


class OtherMomentum(Scheduled):
    def change(self) -> None:
        self.optimizer.load_state_dict(copy.deepcopy(self.optimizer.state_dict()))


class Freezing(Scheduled):
    def change(self) -> None:
        self.model[0].requires_grad_(not self.model[0].weight.requires_grad)


class Hooked(Scheduled):
    def change(self) -> None:
        self.model[0].register_forward_hook(lambda module, given, output: output / 2)


class HookOfAParameter(Scheduled):
    def change(self) -> None:
        self.model[0].weight.register_hook(lambda gradient: gradient / 2)


class OfTheClass(Scheduled):
    factor, table = 1.0, {"factor": 1.0}

    def step(self, batch: zoo.Batch) -> zoo.Metrics:
        point = batch["point"] * type(self).factor * self.table["factor"] * FACTORS[0] * getattr(self, "late", 1.0)
        return super().step(zoo.Batch(point=point * vars(self)["scale"]))


class OnTheClass(OfTheClass):
    def change(self) -> None:
        OnTheClass.factor = self.steps / 10


class InATableOfTheClass(OfTheClass):
    table = {"factor": 1.0}  # noqa: RUF012

    def change(self) -> None:
        self.table["factor"] = self.steps / 10


class OfTheModule(OfTheClass):
    def change(self) -> None:
        FACTORS[0] = self.steps / 10


class Late(OfTheClass):
    def change(self) -> None:
        self.late = self.steps / 10


class ThroughVars(OfTheClass):
    def change(self) -> None:
        self.scale = self.steps / 10


class OtherStep(OfTheClass):
    def change(self) -> None:
        self.step = self.other if self.steps == 10 else super().step

    def other(self, batch: zoo.Batch) -> zoo.Metrics:
        return super().step(zoo.Batch(point=batch["point"] * 3))


class Slots:
    __slots__ = ("factor",)

    def __init__(self) -> None:
        self.factor = 1.0


class Holding(Scheduled):
    """Reads values of many kinds of holders, each of which a subclass changes."""

    def __init__(self) -> None:
        super().__init__()
        self.slots, self.array, self.members = Slots(), np.ones(1), [Slots()]
        factor = [1.0]
        self.closure, self.in_closure = lambda: factor[0], factor
        self.model._private = [1.0]

    def step(self, batch: zoo.Batch) -> zoo.Metrics:
        factor = self.slots.factor * self.members[0].factor * self.closure() * self.model._private[0]
        return super().step(zoo.Batch(point=batch["point"] * factor * float(self.array[0])))


class InSlots(Holding):
    def change(self) -> None:
        self.slots.factor /= 2


class InAMember(Holding):
    def change(self) -> None:
        self.members[0].factor /= 2


class InAnArray(Holding):
    def change(self) -> None:
        self.array /= 2


class InAClosure(Holding):
    def change(self) -> None:
        self.in_closure[0] /= 2


class InAPrivateList(Holding):
    def change(self) -> None:
        self.model._private[0] /= 2


FACTORS = [1.0]
OF_CLASSES = [OnTheClass, InATableOfTheClass, OfTheModule, Late, ThroughVars, OtherStep]
OF_HOLDERS = [Freezing, Hooked, HookOfAParameter, InSlots, InAMember, InAnArray, InAClosure, InAPrivateList]


@pytest.mark.parametrize("kind", [*OF_CLASSES, *OF_HOLDERS])
def test_what_a_step_reads_elsewhere_is_watched_as_well(kind):
    trainer = kind()
    OnTheClass.factor, InATableOfTheClass.table["factor"], FACTORS[0] = 1.0, 1.0, 1.0
    steps = CapturedSteps(trainer, Replaying(trainer), lambda: None, pytest.fail)
    for step in range(8):
        steps(batch(step))
    assert steps.replays == 5
    trainer.steps = 9
    trainer.after_step()
    steps(batch(8))
    assert steps.replays == 5  # it is performed as it is, and watched again
    OnTheClass.factor, InATableOfTheClass.table["factor"], FACTORS[0] = 1.0, 1.0, 1.0


class ChangesTheBatch(Line):
    def step(self, batch: zoo.Batch) -> zoo.Metrics:
        batch["point"] = batch["point"] / 2
        batch["more"] = batch["point"]
        return super().step(zoo.Batch(point=batch.pop("more")))


def test_a_step_may_change_its_batch():
    assert outcome(ChangesTheBatch).notes == []


class Iterating(Line):
    def __init__(self) -> None:
        super().__init__()
        self.numbers = iter(range(10**6))

    def step(self, batch: zoo.Batch) -> zoo.Metrics:
        return super().step(zoo.Batch(point=batch["point"] / (1 + next(self.numbers))))


def test_an_iterator_that_the_step_reads_ends_the_captures():
    assert outcome(Iterating).notes == ["step reads self.numbers, whose changes would not be noticed"]


class Logging(Line):
    def __init__(self) -> None:
        super().__init__()
        self.log = logging.getLogger("zoo")
        self.chain = last = SimpleNamespace(next=None)
        for _ in range(3000):
            last.next = SimpleNamespace(next=None)
            last = last.next

    def step(self, batch: zoo.Batch) -> zoo.Metrics:
        self.log.debug("a step")
        return super().step(batch)


def test_objects_that_hold_many_others_are_no_hindrance():
    assert outcome(Logging).notes == []


class Halving(torch.optim.SGD):
    """Skips every second step."""

    def __init__(self, parameters: Any) -> None:
        super().__init__(parameters, lr=0.1)
        self.calls = 0

    def step(self, closure: Any = None) -> None:
        self.calls += 1
        if self.calls % 2 == 0:
            super().step()


class OfAnOptimizer(Line):
    def __init__(self) -> None:
        super().__init__()
        self.optimizer = Halving(self.model.parameters())


def test_an_optimizer_of_a_plugin_that_counts_is_performed_as_it_is():
    assert outcome(OfAnOptimizer).notes == ["step changes self.optimizer.calls, which a graph cannot repeat"]


@pytest.mark.parametrize(
    "kind", [Scheduled, InAnObject, OfAModule, Evaluating, OfTheOptimizer, OtherWeights, OtherMomentum]
)
def test_a_value_that_the_step_reads_and_that_changes_now_and_then_is_captured_again(kind):
    found = outcome(kind)
    assert (found.recorder.recorded, found.notes) == (3, [])


class EveryStep(Line):
    def after_step(self) -> None:
        super().after_step()
        self.scale = 1 / self.steps


def test_a_value_that_the_step_reads_and_that_changes_in_every_step_ends_the_captures():
    found = outcome(EveryStep)
    assert found.notes == ["step reads self.scale, which changes from step to step"]
    assert found.steps.gave_up


class Counting(Line):
    def step(self, batch: zoo.Batch) -> zoo.Metrics:
        self.steps += 1
        return super().step(batch)


class Collecting(Line):
    def step(self, batch: zoo.Batch) -> zoo.Metrics:
        self.held.numbers.append(0.0)
        return super().step(batch)


class Creating(Line):
    def step(self, batch: zoo.Batch) -> zoo.Metrics:
        setattr(self, f"seen_{self.steps}", True)
        return super().step(batch)


class OfNumPy(Line):
    def step(self, batch: zoo.Batch) -> zoo.Metrics:
        np.random.rand()
        return super().step(batch)


class OfPython(Line):
    def step(self, batch: zoo.Batch) -> zoo.Metrics:
        random.random()  # noqa: S311
        return super().step(batch)


class Number(Line):
    def step(self, batch: zoo.Batch) -> zoo.Metrics:
        return {**super().step(batch), "scale": self.scale}


class Rebinding(Line):
    def step(self, batch: zoo.Batch) -> zoo.Metrics:
        self.mean = getattr(self, "mean", torch.zeros(())) * 0.9
        return super().step(batch)


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (Counting, "step changes self.steps, which a graph cannot repeat"),
        (Collecting, "step changes self.held.numbers, which a graph cannot repeat"),
        (Creating, "step creates self.seen_2, which a graph cannot repeat"),
        (Rebinding, "step changes self.mean, which a graph cannot repeat"),
        (OfNumPy, "step draws from NumPy's random numbers, which a graph cannot repeat"),
        (OfPython, "step draws from Python's random numbers, which a graph cannot repeat"),
        (Number, "step returns 'scale', which is not on the device"),
    ],
)
def test_a_step_with_work_of_the_host_is_performed_as_it_is_and_the_reason_is_given(kind, reason):
    found = outcome(kind)
    assert (found.notes, found.recorder.recorded) == ([reason], 0)


class ClearedLater(Line):
    """Adds up the gradients of two steps."""

    def step(self, batch: zoo.Batch) -> zoo.Metrics:
        loss = self.model(batch["point"]).square().mean()
        loss.backward()
        return {"loss": loss.detach()}

    def after_step(self) -> None:
        super().after_step()
        if self.steps % 2 == 0:
            self.optimizer.step()
            self.optimizer.zero_grad()


def test_gradients_that_are_added_to_and_cleared_elsewhere_end_the_captures():
    assert outcome(ClearedLater).notes == [
        "step reads gradients that after_step clears, which changes from step to step"
    ]


def test_a_capture_that_fails_is_performed_as_it_is_with_its_gradients(monkeypatch):
    def fail(self: Replaying, function: Callable[[], Tensor]) -> Any:
        for one in self.trainer.model.parameters():
            one.grad = None
        raise RuntimeError("operation not permitted\nwhen it captures")

    monkeypatch.setattr(Replaying, "__call__", fail)
    why = "engine/test_cuda_graph.py, line [0-9]+: `raise RuntimeError.*`: operation not permitted when it captures"
    assert re.fullmatch(f"the capture failed in {why}", *outcome(Line).notes)


def test_a_held_batch_keeps_its_address():
    steps = Outcome(Line, steps=0).steps
    first, address = steps.hold(batch(1)), steps.hold(batch(2))["point"].data_ptr()
    assert first["point"].data_ptr() == address
    assert torch.equal(first["point"], batch(2)["point"])


def test_a_compiled_module_is_compiled_once_also_for_batches_that_are_parts_of_larger_tensors():
    class Compiled(Line):
        def __init__(self) -> None:
            super().__init__()
            self.counter = CompileCounter()
            self.model.compile(backend=self.counter, dynamic=False)

    trainer = Compiled()
    steps = CapturedSteps(trainer, Replaying(trainer), lambda: None, lambda note: pytest.fail(note))
    for step in range(8):
        whole = torch.randn(8, 5, generator=torch.Generator().manual_seed(step))
        steps(zoo.Batch(point=whole[:, :2]))
    assert steps.replays == 5
    assert trainer.counter.frame_count == 1
