"""A plugin file: a small network that is trained by an optimizer and a schedule that the recipe names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import zoo_core as zoo


class Network(zoo.Model):
    """Images (N, 1, 8, 8) to scores (N, 4)."""

    @dataclass(frozen=True, kw_only=True)
    class Config:
        width: int = zoo.setting(8, "channels", ge=1)

    config: Config

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        width = config.width
        self.layers = nn.Sequential(
            nn.Conv2d(1, width, 3, stride=2, padding=1),  # (N, width, 4, 4)
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(16 * width, 16),
            nn.LayerNorm(16),
            nn.ReLU(),
            nn.Linear(16, 4),
        )

    def forward(self, image: Tensor) -> Tensor:
        return self.layers(image)  # type: ignore[no-any-return]


class Gratings(zoo.Dataset):
    """Waves of four directions in noise."""

    @dataclass(frozen=True, kw_only=True)
    class Config:
        count: int = zoo.setting(256, "images to train on", ge=1)

    config: Config

    def train(self) -> zoo.InMemory:
        return self._images(self.config.count, 0)

    def test(self) -> zoo.InMemory:
        return self._images(64, 1)

    def _images(self, count: int, seed: int) -> zoo.InMemory:
        generator = torch.Generator().manual_seed(seed)
        label = torch.arange(count) % 4  # (N,)
        angle = label * torch.pi / 4
        x, y = torch.meshgrid(torch.arange(8.0), torch.arange(8.0), indexing="xy")  # (8, 8) each
        phase = x * angle.cos().view(-1, 1, 1) + y * angle.sin().view(-1, 1, 1)  # (N, 8, 8)
        noise = torch.randn(count, 8, 8, generator=generator)
        return zoo.InMemory(image=(phase.sin() + 0.5 * noise).unsqueeze(1), label=label)


class ByNameTrainer(zoo.Trainer):
    """Cross-entropy; the loss is computed in a closure, which L-BFGS calls several times in a step."""

    @dataclass(frozen=True, kw_only=True)
    class Config(zoo.OptimizerConfig):
        pass

    config: Config

    def setup(self, model: Network, engine: zoo.Engine) -> None:
        self.engine = engine
        self.model, self.optimizer, self.schedule = engine.optimizer(model, self.config)

    def step(self, batch: zoo.Batch) -> zoo.Metrics:
        image = batch["image"] + 0.1 * torch.randn_like(batch["image"])  # (N, 1, 8, 8)

        def closure() -> Tensor:
            loss = F.cross_entropy(self.model(image), batch["label"])
            self.optimizer.zero_grad()
            self.engine.backward(loss)
            return loss

        return {"loss": self.optimizer.step(closure).detach()}

    def after_step(self) -> None:
        self.schedule.step()

    @torch.no_grad()
    def evaluate(self, batches: Iterable[zoo.Batch], train_batches: Iterable[zoo.Batch]) -> Mapping[str, float]:
        self.model.eval()
        correct = [self.model(batch["image"]).argmax(dim=1) == batch["label"] for batch in batches]
        self.model.train()
        return {"accuracy": float(torch.cat(correct).float().mean())}


@zoo.hookimpl
def zoo_register(registry: zoo.Registry) -> None:
    registry.model("small-network", "optimizer_task:Network", summary="A convolution and two linear layers")
    registry.dataset("gratings", "optimizer_task:Gratings", summary="Waves of four directions in noise")
    registry.trainer("by-name", "optimizer_task:ByNameTrainer", summary="Cross-entropy with any optimizer")
    registry.recipe(
        "optimizer-task",
        __file__,
        summary="Waves, with any optimizer and schedule",
        model={"name": "small-network"},
        dataset={"name": "gratings"},
        trainer={"name": "by-name"},
        run={"steps": 24, "batch_size": 16, "log_every": 4, "checkpoint_every": 2, "threads": 1, "device": "cpu"},
    )
