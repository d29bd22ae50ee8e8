"""The training of clsgan-mnist-reference with Lightning's Trainer, following its documentation for GANs.

Manual optimization ("Manual Optimization", with ``toggle_optimizer``), the five losses logged by ``log_dict`` to a
CSVLogger every 50 steps, and the Trainer's defaults: a progress bar and a checkpoint every epoch. It prints steps/s.

    ZOO_DATA=FOLDER python benchmarks/lightning_script.py --data loader
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.loggers import CSVLogger
from peer_script import run
from peer_task import adam, batches, discriminator_losses, generator_losses, noise
from plain_script import LOG_EVERY, Discriminator, Generator
from taking_turns import Ticks
from torch import Tensor


class CLSGAN(lightning.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.generator, self.discriminator = Generator(), Discriminator()

    def configure_optimizers(self) -> tuple[list[torch.optim.Optimizer], list[Any]]:
        return [adam(self.generator), adam(self.discriminator)], []

    def training_step(self, batch: tuple[Tensor, Tensor]) -> None:
        image, label = batch
        generator_optimizer, discriminator_optimizer = self.optimizers()
        self.toggle_optimizer(generator_optimizer)
        generated = self.generator(noise(image), label)
        losses = generator_losses(generated, image, self.discriminator(generated, label))
        generator_optimizer.zero_grad()
        self.manual_backward(losses["generator_loss"])
        generator_optimizer.step()
        self.untoggle_optimizer(generator_optimizer)

        self.toggle_optimizer(discriminator_optimizer)
        losses |= discriminator_losses(self.discriminator(image, label), self.discriminator(generated.detach(), label))
        discriminator_optimizer.zero_grad()
        self.manual_backward(losses["discriminator_loss"])
        discriminator_optimizer.step()
        self.untoggle_optimizer(discriminator_optimizer)
        self.log_dict(losses)


class Counter(lightning.Callback):
    """Counts the steps for the measuring process."""

    def __init__(self) -> None:
        self.ticks = Ticks()

    def on_train_batch_end(self, *args: Any) -> None:
        self.ticks.tick()


def train(steps: int, data: str, folder: Path, device: str = "cpu") -> None:
    trainer = lightning.Trainer(
        accelerator="cpu" if device == "cpu" else "gpu",
        devices=1,
        max_steps=2 * steps,  # counts the steps of both optimizers
        log_every_n_steps=LOG_EVERY,
        logger=CSVLogger(folder),
        callbacks=[Counter()],
    )
    trainer.fit(CLSGAN(), batches(data))


if __name__ == "__main__":
    run(train, __doc__, devices=("cpu", "cuda"))
