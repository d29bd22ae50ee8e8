"""A single-file plugin whose examples have unequal numbers of targets, and trainers that average over them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import zoo_core as zoo

IGNORED = 255


class UnevenMasks(zoo.Dataset):
    """Images of noise, whose masks are ignored in parts of unequal size."""

    @dataclass(frozen=True, kw_only=True)
    class Config:
        ignored: Literal["none", "uneven", "first-half", "all"] = zoo.setting("uneven", "which pixels are ignored")
        count: int = zoo.setting(16, "training examples", ge=0)
        test_count: int = zoo.setting(5, "test examples", ge=0)
        validation_count: int | None = zoo.setting(None, "validation examples; null uses the test examples")

    config: Config

    def train(self) -> zoo.InMemory:
        return self._make(self.config.count, 0)

    def test(self) -> zoo.InMemory:
        return self._make(self.config.test_count, 1)

    def validation(self) -> zoo.Examples:
        count = self.config.validation_count
        return self.test() if count is None else self._make(count, 2)

    def _make(self, count: int, seed: int) -> zoo.InMemory:
        image = torch.rand(count, 1, 8, 8, generator=torch.Generator().manual_seed(seed))
        mask = (image[:, 0] > 0.5).long()
        if self.config.ignored == "uneven":
            mask[::2, :1], mask[1::2, :7] = IGNORED, IGNORED
        if self.config.ignored == "first-half":
            mask[torch.arange(count) % 8 < 4] = IGNORED
        if self.config.ignored == "all":
            mask[:] = IGNORED
        return zoo.InMemory(image=image, mask=mask)


class Pixels(zoo.Model):
    """A network without batch statistics, so that parts of a batch can be computed separately."""

    @dataclass(frozen=True, kw_only=True)
    class Config:
        out_channels: int = zoo.setting(3, "classes", ge=2)
        dropout: float = zoo.setting(0.0, "probability of dropout", ge=0, lt=1)

    config: Config

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.first = nn.Conv2d(1, 4, 3, padding=1)
        self.second = nn.Conv2d(4, config.out_channels, 1)

    def forward(self, image: Tensor) -> Tensor:
        return self.second(F.dropout(self.first(image).relu(), self.config.dropout, self.training))


class PixelTrainer(zoo.Trainer):
    supports_grad_accumulation = distributed_evaluation = True

    @dataclass(frozen=True, kw_only=True)
    class Config:
        ignore_index: int = zoo.setting(IGNORED, "class that is ignored")
        averages: Literal["pixels", "means"] = zoo.setting("pixels", "what a batch in parts is averaged over")
        noise: bool = zoo.setting(False, "add noise to the images")
        steps_in_every_part: bool = zoo.setting(False, "use an optimizer that was not prepared")
        contrastive: bool = zoo.setting(False, "compare the examples of a batch, of all processes")
        sums: bool = zoo.setting(True, "add up the evaluations of all processes")

    config: Config

    def setup(self, model: Pixels, engine: zoo.Engine) -> None:
        self.optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
        if self.config.steps_in_every_part:
            (self.network,) = engine.prepare(model)
        else:
            self.network, self.optimizer = engine.prepare(model, self.optimizer)
        self.engine, self._model = engine, model

    def step(self, batch: zoo.Batch) -> zoo.Metrics:
        image, mask = batch["image"], batch["mask"]
        if self.config.noise:
            image = image + 0.1 * torch.randn_like(image)
        score = self.network(image)
        if self.config.averages == "means":
            loss = F.cross_entropy(score, mask, ignore_index=self.config.ignore_index)
        else:
            total = F.cross_entropy(score, mask, ignore_index=self.config.ignore_index, reduction="sum")
            loss = total / self.engine.normalizer(batch, self._count)
        if self.config.contrastive:
            features = self.engine.gather(score.mean(dim=(2, 3)))
            loss = loss + (features @ features.T).logsumexp(dim=1).mean()
        self.optimizer.zero_grad()
        self.engine.backward(loss)
        self.engine.clip(self._model, 0.5)
        self.optimizer.step()
        return {"loss": loss.detach()}

    def _count(self, batch: zoo.Batch) -> Tensor:
        return (batch["mask"] != self.config.ignore_index).sum()

    @torch.no_grad()
    def evaluate(self, batches: Any, train_batches: Any) -> dict[str, float]:
        sums = torch.zeros(2, dtype=torch.float64)
        self._model.eval()
        for batch in batches:
            loss = F.cross_entropy(self._model(batch["image"]), batch["mask"], ignore_index=IGNORED, reduction="sum")
            sums += torch.stack([loss, (batch["mask"] != IGNORED).sum()])
        loss, count = (self.engine.sum(sums) if self.config.sums else sums).tolist()
        return {"loss": loss / count if count else float("nan")}


@zoo.hookimpl
def zoo_register(registry: zoo.Registry) -> None:
    registry.model("pixels", f"{__name__}:Pixels", summary="Two convolutions", license="MIT")
    registry.dataset("uneven-masks", f"{__name__}:UnevenMasks", summary="Masks", license="MIT")
    registry.trainer("pixels", f"{__name__}:PixelTrainer", summary="Cross-entropy", license="MIT")
    run = {"steps": 4, "batch_size": 8, "device": "cpu", "threads": 1, "preview_every": 0, "log_every": 1}
    parts = {"model": {"name": "pixels"}, "dataset": {"name": "uneven-masks"}}
    registry.recipe("uneven", __file__, trainer={"name": "pixels"}, run=run, **parts)
    registry.recipe("uneven-segmentation", __file__, trainer={"name": "segmentation"}, run=run, **parts)
