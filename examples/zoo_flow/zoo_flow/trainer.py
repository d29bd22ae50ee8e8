"""Training of a velocity by flow matching (Lipman et al. 2023)."""

import torch
import torch.nn.functional as F
from torch import Tensor

import zoo_core as zoo


class FlowMatching(zoo.SupervisedTrainer):
    """Minimizes the squared error of the velocity on straight lines from noise to images."""

    class Config(zoo.SupervisedTrainer.Config, zoo.OptimizerConfig):
        label_dropout: float = zoo.setting(0.1, "probability that an image is trained without its label", ge=0, le=1)

    protocol = "loss: squared error of the velocity at a random time of each test image, averaged over pixels."

    def setup(self, model: zoo.Model, engine: zoo.Engine) -> None:
        self.engine = engine
        self.model, self.optimizer, self.schedule = engine.optimizer(model, self.config)

    def after_step(self) -> None:
        self.schedule.step()

    def loss(self, batch: zoo.Batch) -> Tensor:
        image = 2 * batch["image"] - 1  # (N, 1, H, W)
        noise, (time, dropout) = torch.randn_like(image), torch.rand_like(image[:, 0, :2, 0]).unbind(1)
        label = batch["label"].masked_fill(dropout < self.config.label_dropout, -1)
        velocity = self.model(torch.lerp(noise, image, time[:, None, None, None]), time, label)
        return F.mse_loss(velocity, image - noise)

    def preview(self, batch: zoo.Batch) -> Tensor:
        return self.engine.unwrap(self.model).predict()["image"]  # type: ignore[no-any-return]
