"""A plugin of the short forms: a data set of tensors, a model, and trainers that write only a loss and metrics."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import zoo_core as zoo
from zoo_core.registry.catalog import Catalog


class Words(zoo.InMemoryDataset):
    """Sequences of tokens, of which a random number at the end is padding (0)."""

    class Config:
        split: Literal["both", "train"] = zoo.setting("both", "which splits there are")

    def tensors(self) -> Mapping[str, Mapping[str, Tensor]]:
        generator = torch.Generator().manual_seed(0)
        token = torch.randint(1, 5, (48, 6), generator=generator)
        length = torch.randint(1, 7, (48, 1), generator=generator)
        token = token * (torch.arange(6) < length)
        train, test = {"token": token[:37]}, {"token": token[37:]}  # 11 test examples
        return {"train": train} if self.config.split == "train" else {"train": train, "test": test}


class Bigrams(zoo.Model):
    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.table = nn.Embedding(5, 5)

    def forward(self, token: Tensor) -> Tensor:
        return self.table(token)


class PerExample(zoo.SupervisedTrainer):
    """Its loss is a mean over examples."""

    def loss(self, batch: zoo.Batch) -> Tensor:
        return self.losses(batch).mean()

    def metrics(self, batch: zoo.Batch) -> dict[str, Tensor | tuple[Tensor, Tensor]]:
        right = self.model(batch["token"]).argmax(dim=2) == batch["token"]
        return {"exact": right.all(dim=1).float().mean(), "right": (right.sum(), batch["token"].ne(0).sum())}

    def losses(self, batch: zoo.Batch) -> Tensor:
        score = self.model(batch["token"])
        return F.cross_entropy(score.mT, batch["token"], ignore_index=0, reduction="none").sum(dim=1)


class PerToken(PerExample):
    """Its loss is a mean over the tokens that are not padding."""

    def loss(self, batch: zoo.Batch) -> Tensor:
        return self.losses(batch).sum() / self.count(batch).clamp(min=1)

    def count(self, batch: zoo.Batch) -> Tensor:
        return batch["token"].ne(0).sum()


class Wrong(PerExample):
    class Config(zoo.SupervisedTrainer.Config):
        wrong: Literal["vector", "number", "detached", "loss", "vector-metric", "names", "nothing", "list"] = (
            zoo.setting("vector", "the mistake")
        )

    def loss(self, batch: zoo.Batch) -> Tensor:
        loss = super().loss(batch)
        given = {"vector": self.losses(batch), "number": 3.0, "detached": loss.detach()}
        return given.get(self.config.wrong, loss)  # type: ignore[return-value]

    def metrics(self, batch: zoo.Batch) -> dict[str, Any]:
        value = torch.zeros(())
        last = len(batch["token"]) < 8
        named: dict[str, Any] = {"loss": {"loss": value}, "vector-metric": {"accuracy": torch.zeros(2)}}
        named |= {"nothing": None, "list": [value]}
        return {**named, "names": {"last": value} if last else {"first": value}}.get(self.config.wrong, {})


@zoo.hookimpl
def zoo_register(registry: zoo.Registry) -> None:
    registry.dataset("words", f"{__name__}:Words", summary="Sequences of tokens")
    registry.model("bigrams", f"{__name__}:Bigrams", summary="A table")
    for name, kind in (("per-example", "PerExample"), ("per-token", "PerToken"), ("wrong", "Wrong")):
        registry.trainer(name, f"{__name__}:{kind}", summary="Cross-entropy")
        parts = {"model": {"name": "bigrams"}, "dataset": {"name": "words"}, "trainer": {"name": name}}
        registry.recipe(name, __file__, **parts, run={"steps": 20, "batch_size": 8, "device": "cpu"})


def catalog() -> Catalog:
    """A catalog with this plugin only."""
    here = Catalog(installed=False)
    here.plugins.load_files([Path(__file__)])
    return here
