"""The training of clsgan-mnist-reference with MMEngine's Runner, following its documentation for GANs.

A BaseModel with its own ``train_step``, an OptimWrapperDict, a frozen discriminator during the generator's step ("Train
a GAN"), losses logged every 50 steps by the LoggerHook, and the default hooks (timer, scheduler, a checkpoint every
epoch). It prints steps/s.

    ZOO_DATA=FOLDER python benchmarks/mmengine_script.py --data loader
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mmengine.hooks import Hook, LoggerHook
from mmengine.model import BaseModel
from mmengine.optim import OptimWrapper, OptimWrapperDict
from mmengine.runner import Runner
from peer_script import run
from peer_task import adam, batches, discriminator_losses, generator_losses, noise
from plain_script import LOG_EVERY, Discriminator, Generator
from taking_turns import Ticks
from torch import Tensor


class CLSGAN(BaseModel):
    def __init__(self) -> None:
        super().__init__()
        self.generator, self.discriminator = Generator(), Discriminator()

    def forward(self, image: Tensor, label: Tensor) -> Tensor:
        return self.generator(noise(image), label)

    def train_step(self, data: tuple[Tensor, Tensor], optim_wrapper: OptimWrapperDict) -> dict[str, Tensor]:
        image, label = data
        # update_params zeroes gradients only after a step: the discriminator's gradients of the generator's loss would
        # otherwise be added to those of its own loss.
        self.discriminator.requires_grad_(False)
        with optim_wrapper["generator"].optim_context(self.generator):
            generated = self.generator(noise(image), label)
            losses = generator_losses(generated, image, self.discriminator(generated, label))
            optim_wrapper["generator"].update_params(losses["generator_loss"])
        self.discriminator.requires_grad_(True)
        with optim_wrapper["discriminator"].optim_context(self.discriminator):
            losses |= discriminator_losses(
                self.discriminator(image, label), self.discriminator(generated.detach(), label)
            )
            optim_wrapper["discriminator"].update_params(losses["discriminator_loss"])
        return losses


class Counter(Hook):
    """Counts the steps for the measuring process."""

    def __init__(self) -> None:
        self.ticks = Ticks()

    def after_train_iter(self, *args: Any, **named: Any) -> None:
        self.ticks.tick()


def train(steps: int, data: str, folder: Path) -> None:
    model = CLSGAN()
    optimizers = OptimWrapperDict(
        generator=OptimWrapper(adam(model.generator)), discriminator=OptimWrapper(adam(model.discriminator))
    )
    loader = batches(data)
    runner = Runner(
        model=model,
        work_dir=str(folder),
        train_dataloader=loader,
        train_cfg={"by_epoch": True, "max_epochs": -(-steps // len(loader))},
        optim_wrapper=optimizers,
        default_hooks={"logger": LoggerHook(interval=LOG_EVERY)},
        custom_hooks=[Counter()],
    )
    runner.train()


if __name__ == "__main__":
    run(train, __doc__)
