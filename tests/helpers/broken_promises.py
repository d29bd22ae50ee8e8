"""Models, datasets and trainers that each violate one conformance check, and one trainer that passes all."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import tiny
import torch
from torch import nn

import zoo_core as zoo

_calls = itertools.count()


class KeptTrainer(tiny.LineTrainer):
    """Passes all checks."""


class NotOnMeta(tiny.Line):
    def __init__(self, config):
        super().__init__(config)
        self.scale = float(self.layers[0].weight.abs().max())


class ForgetsABuffer(tiny.Line):
    """Its settings do not determine its shapes: the width differs from call to call."""

    def __init__(self, config):
        super().__init__(config)
        self.more = nn.Linear(1, 1 + next(_calls) % 7)


class Undocumented(tiny.Line):
    """Its Config, which documents no setting, is assigned after the class was created."""


@dataclass(frozen=True, kw_only=True)
class _Silent:
    width: int = zoo.setting(3, " ")


Undocumented.Config = _Silent


class StartsWithNaN(tiny.Line):
    def __init__(self, config):
        super().__init__(config)
        self.scale = nn.Parameter(torch.tensor(torch.nan))


class PredictsAtRandom(tiny.Line):
    def predict(self, count):
        return {"height": torch.rand(count)}

    def example(self):
        return {"count": 3}


class PredictsAnotherShape(tiny.Line):
    outputs = {"height": "(N, 1)"}  # noqa: RUF012  # read only

    def predict(self, count):
        return {"height": torch.zeros(count)}

    def example(self):
        return {"count": 3}


class PredictsBeyond(PredictsAnotherShape):
    outputs = {"height": "(N) in [1, 2]"}  # noqa: RUF012  # read only


class LeavesTraining(tiny.Line):
    def predict(self, count):
        self.train()
        return {"height": torch.zeros(count)}

    def example(self):
        return {"count": 3}


class Listy(tiny.Points):
    def train(self):
        return [(torch.zeros(3), 1.0)] * 8


class ChangesAtEveryAccess(tiny.Points):
    """Its examples differ at every access."""

    def train(self):
        return _Changing()


class _Changing:
    def __len__(self):
        return 16

    def __getitem__(self, number):
        return {"point": torch.full((3,), float(number + next(_calls))), "height": 0.0}


class Restless(tiny.Points):
    def fingerprint(self):
        return f"{next(_calls):064x}"


class Brief(tiny.Points):
    def fingerprint(self):
        return "0123456789abcdef"


class Draws(tiny.Points):
    def fingerprint(self):
        torch.rand(1)
        return super().fingerprint()


class Leaky(tiny.Points):
    def test(self):
        return self.train()


class Idle(tiny.LineTrainer):
    """Never updates the model."""

    def step(self, batch):
        return {"loss": (self.model(batch["point"]) - batch["height"]).square().mean().detach()}


class Attached(tiny.LineTrainer):
    def step(self, batch):
        return {**super().step(batch), "extra": self.model(batch["point"]).mean()}


class Tall(tiny.LineTrainer):
    def step(self, batch):
        return {**super().step(batch), "extra": torch.zeros(2)}


class Frozen(tiny.Line):
    def __init__(self, config):
        super().__init__(config)
        self.layers[0].weight.requires_grad_(False)


class Thaws(tiny.LineTrainer):
    def step(self, batch):
        metrics = super().step(batch)
        with torch.no_grad():
            self.engine.unwrap(self.model).layers[0].weight.add_(1)
        return metrics


class LeavesEval(tiny.LineTrainer):
    def evaluate(self, batches, train_batches):
        self.model.eval()
        return {}


class MeasuresInTraining(tiny.LineTrainer):
    """Evaluates in training mode, which updates the batch statistics."""

    def evaluate(self, batches, train_batches):
        for batch in batches:
            self.model(batch["point"])
        return {}


class FrozenInEval(tiny.Line):
    """Its batch normalization is frozen and stays in eval mode."""

    def __init__(self, config):
        super().__init__(config)
        self.layers[1].requires_grad_(False).eval()


class TrainsAfterwards(tiny.LineTrainer):
    """Sets all modules to training mode after an evaluation, also those that were in eval mode."""


class DisablesGradients(tiny.LineTrainer):
    def evaluate(self, batches, train_batches):
        torch.set_grad_enabled(False)
        return {}


class LearnsFromTests(tiny.LineTrainer):
    """Its evaluation changes the weights."""

    def evaluate(self, batches, train_batches):
        with torch.no_grad():
            self.engine.unwrap(self.model).layers[2].bias.add_(0.01)
        return {}


class CountsTests(tiny.LineTrainer):
    """Its evaluation changes the learning rate."""

    def evaluate(self, batches, train_batches):
        self.schedule.step()
        return {}


class RemembersTests(tiny.LineTrainer):
    """Its evaluation changes a private attribute on which its steps depend."""

    def setup(self, model, engine):
        super().setup(model, engine)
        self._shift = 0.0

    def step(self, batch):
        with torch.no_grad():
            self.engine.unwrap(self.model).layers[2].bias.add_(self._shift)
        return super().step(batch)

    def evaluate(self, batches, train_batches):
        self._shift += 0.01
        return {}


class Unseeded(tiny.LineTrainer):
    def step(self, batch):
        metrics = super().step(batch)
        with torch.no_grad():
            self.engine.unwrap(self.model).layers[2].bias.add_(0.001 * next(_calls))
        return metrics


class Forgetful(tiny.LineTrainer):
    """Counts in a private attribute, which checkpoints do not store."""

    def setup(self, model, engine):
        super().setup(model, engine)
        self._seen = 0

    def step(self, batch):
        metrics = super().step(batch)
        self._seen += 1
        with torch.no_grad():
            self.engine.unwrap(self.model).layers[2].bias.add_(0.01 * self._seen)
        return metrics


class AveragesMeans(tiny.LineTrainer):
    """Gives a smaller last batch the weight of the others."""

    @torch.no_grad()
    def evaluate(self, batches, train_batches):
        model = self.model.eval()
        errors = [float((model(batch["point"]) - batch["height"]).abs().mean()) for batch in batches]
        return {"error": sum(errors) / len(errors)}


class OnlyEights(tiny.LineTrainer):
    def step(self, batch):
        batch["point"].view(8, 3)
        return super().step(batch)


class RaisesZooError(tiny.LineTrainer):
    def step(self, batch):
        if len(batch["point"]) % 2:
            raise zoo.ZooError("pairs are compared, but the number is odd.", "Write run.batch_size=8.")
        return super().step(batch)


MODELS = [
    Undocumented,
    NotOnMeta,
    ForgetsABuffer,
    StartsWithNaN,
    PredictsAtRandom,
    PredictsAnotherShape,
    PredictsBeyond,
    LeavesTraining,
    Frozen,
    FrozenInEval,
]
DATASETS = [Listy, ChangesAtEveryAccess, Restless, Brief, Draws, Leaky]
TRAINERS = [
    KeptTrainer,
    Idle,
    Attached,
    Tall,
    Thaws,
    LeavesEval,
    MeasuresInTraining,
    TrainsAfterwards,
    DisablesGradients,
    LearnsFromTests,
    CountsTests,
    RemembersTests,
    Unseeded,
    Forgetful,
    AveragesMeans,
    OnlyEights,
    RaisesZooError,
]


class Plugin:
    """Registers all of them under their names in lower case, and a recipe for each."""

    @zoo.hookimpl
    def zoo_register(self, registry):
        run = {"steps": 10, "batch_size": 8}
        for kind, classes in (("model", MODELS), ("dataset", DATASETS), ("trainer", TRAINERS)):
            for cls in classes:
                name = cls.__name__.lower()
                getattr(registry, kind)(name, f"broken_promises:{cls.__name__}", summary="Fails a check", license="MIT")
                parts = {"model": "line", "dataset": "points", "trainer": "line", kind: name}
                parts["model"] = {Thaws: "frozen", TrainsAfterwards: "frozenineval"}.get(cls, parts["model"])
                registry.recipe(
                    f"with-{name}", __file__, **{part: {"name": value} for part, value in parts.items()}, run=run
                )


@dataclass
class Pickling:
    """Used for its source only: a plugin that unpickles a file."""

    path: str

    def read(self):
        import pickle  # noqa: TID251  # detected by the check

        with open(self.path, "rb") as file:
            return pickle.load(file)  # noqa: S301
