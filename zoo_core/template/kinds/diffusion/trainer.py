"""Training of a denoising diffusion model: predict the noise in noisy images."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
import torch.nn.functional as F
import zoo_core as zoo
from torch import Tensor

from .model import MyModel, add_noise

_PREVIEW_IMAGES = 16


class MyModelTrainer(zoo.Trainer):
    """Minimizes the mean squared error of the noise (Ho et al. 2020), on ``image`` (N, 1, 16, 16) in [0, 1]."""

    class Config(zoo.OptimizerConfig):
        learning_rate: float = zoo.setting(5e-3, "learning rate, the highest one of the schedule", gt=0)
        schedule: str = zoo.setting("cosine", "name of the schedule: `zoo list schedules`")
        warmup: float = zoo.setting(
            0.05, "steps in which the learning rate rises; below 1, a fraction of the run", ge=0
        )
        max_grad_norm: float = zoo.setting(1.0, "maximum norm of the gradients", gt=0)

    config: Config
    supports_grad_accumulation = True  # the loss is a mean over examples, and after_step advances the schedule
    protocol = (
        "loss: mean squared error of the predicted noise on the test images, at the same random times and noises."
    )

    def setup(self, model: MyModel, engine: zoo.Engine) -> None:
        self.engine, self._model = engine, model
        self.model, self.optimizer, self.schedule = engine.optimizer(model, self.config)

    def step(self, batch: zoo.Batch) -> zoo.Metrics:
        image = batch["image"]
        loss = self._loss(image, torch.randn_like(image), torch.rand(len(image), device=image.device))
        self.optimizer.zero_grad()
        self.engine.backward(loss)
        self.engine.clip(self.model, self.config.max_grad_norm)
        self.optimizer.step()
        return {"loss": loss.detach()}

    def after_step(self) -> None:
        self.schedule.step()

    @torch.no_grad()
    def evaluate(self, batches: Iterable[zoo.Batch], train_batches: Iterable[zoo.Batch]) -> Mapping[str, float]:
        generator, total, count = torch.Generator().manual_seed(0), 0.0, 0
        for batch in batches:
            image = batch["image"]
            noise = torch.randn(image.shape, generator=generator).to(image.device)
            time = torch.linspace(0, 1, 10)[torch.arange(count, count + len(image)) % 10].to(image.device)
            total += len(image) * float(self._loss(image, noise, time))
            count += len(image)
        return {"loss": total / count}

    @torch.no_grad()
    def preview(self, batch: zoo.Batch) -> Tensor:
        """Generated images: (16, 1, 16, 16) in [0, 1]."""
        image: Tensor = self._model.predict(_PREVIEW_IMAGES)["image"]
        return image

    def _loss(self, image: Tensor, noise: Tensor, time: Tensor) -> Tensor:
        return F.mse_loss(self.model(add_noise(2 * image - 1, noise, time), time), noise)
