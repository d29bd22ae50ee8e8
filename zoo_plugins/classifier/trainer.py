"""Training a classifier of pictures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

import zoo_core as zoo
from zoo_plugins.common.labels import refuse_unknown
from zoo_plugins.common.schedules import OneCycle
from zoo_plugins.common.transforms import transformed


class ClassifierTrainer(zoo.Trainer):
    """Any model that takes ``image`` and scores each ``label``."""

    @dataclass(frozen=True, kw_only=True)
    class Config:
        learning_rate: float = zoo.setting(4e-3, "AdamW step size at the top of the cycle", gt=0)
        warmup_fraction: float = zoo.setting(0.2, "share of the run in which the step size rises", gt=0, lt=1)
        weight_decay: float = zoo.setting(1e-2, "AdamW's decay of weights", ge=0)
        rotation: float = zoo.setting(10.0, "pictures are turned by up to so many degrees", ge=0, le=180)
        scaling: float = zoo.setting(0.1, "pictures are grown or shrunk by up to this share", ge=0, lt=1)
        shift: float = zoo.setting(2.0, "pictures are moved by up to so many pixels", ge=0)

    config: Config
    supports_grad_accumulation = distributed_evaluation = True
    protocol = "accuracy: share of all evaluation pictures whose highest score is their label's; loss: cross-entropy."

    def setup(self, model: Any, engine: zoo.Engine) -> None:
        adam = torch.optim.AdamW(
            model.parameters(),
            lr=self.config.learning_rate,
            weight_decay=self.config.weight_decay,
            fused=True,
        )
        self.schedule = OneCycle(adam, self.config.learning_rate, engine.total_steps, self.config.warmup_fraction)
        model.to(memory_format=torch.channels_last)
        self.model, self.optimizer = engine.prepare(model, adam)
        self.engine = engine

    def step(self, batch: zoo.Batch) -> zoo.Metrics:
        image, label = self._move(batch["image"]), batch["label"]  # (N, 1, H, W) in [0, 1], (N,)
        score = self.model(image)
        if self.schedule.last_epoch == 0:
            refuse_unknown(label, score.shape[1])
        loss = F.cross_entropy(score, label)
        self.optimizer.zero_grad()
        self.engine.backward(loss)
        self.optimizer.step()
        if self.engine.updating:
            self.schedule.step()
        return {"loss": loss.detach(), "accuracy": (score.argmax(dim=1) == label).float().mean()}

    @torch.no_grad()
    def evaluate(self, batches: Iterable[zoo.Batch], train_batches: Iterable[zoo.Batch]) -> Mapping[str, float]:
        self.model.eval()
        right, seen = 0.0, 0.0
        loss = 0.0
        for batch in batches:
            score = self.model(batch["image"])
            right += int((score.argmax(dim=1) == batch["label"]).sum())
            loss += float(F.cross_entropy(score, batch["label"], reduction="sum"))
            seen += len(score)
        self.model.train()
        found = torch.tensor([right, loss, seen], dtype=torch.float64)
        right, loss, seen = self.engine.sum(found).tolist()
        return {"accuracy": right / seen, "loss": loss / seen}

    def _move(self, image: Tensor) -> Tensor:
        """Each picture turned, scaled and shifted a little, differently."""
        count, (height, width) = len(image), image.shape[-2:]

        def draw(most: float) -> Tensor:
            return (torch.rand(count, device=image.device) * 2 - 1) * most

        angle, scale = torch.deg2rad(draw(self.config.rotation)), 1 + draw(self.config.scaling)
        across, down = draw(2 * self.config.shift / width), draw(2 * self.config.shift / height)
        return transformed(image, angle, scale, across, down)
