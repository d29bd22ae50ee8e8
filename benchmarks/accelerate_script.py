"""The training of clsgan-mnist-reference as a loop with Accelerate, following its documentation ("Quicktour").

Networks, optimizers and loader are passed to ``prepare``, gradients are computed by ``accelerator.backward``, and the
five losses are logged to TensorBoard every 50 steps. It prints steps/s.

    ZOO_DATA=FOLDER python benchmarks/accelerate_script.py --data loader
"""

from __future__ import annotations

from pathlib import Path

from accelerate import Accelerator
from peer_script import run
from peer_task import adam, batches, discriminator_losses, generator_losses, noise
from plain_script import LOG_EVERY, Discriminator, Generator
from taking_turns import Ticks


def train(steps: int, data: str, folder: Path) -> None:
    accelerator = Accelerator(cpu=True, log_with="tensorboard", project_dir=folder)
    accelerator.init_trackers("clsgan")
    generator, discriminator = Generator(), Discriminator()
    generator, discriminator, generator_optimizer, discriminator_optimizer, loader = accelerator.prepare(
        generator, discriminator, adam(generator), adam(discriminator), batches(data)
    )
    step, ticks = 0, Ticks()
    while True:
        for image, label in loader:
            generated = generator(noise(image), label)
            losses = generator_losses(generated, image, discriminator(generated, label))
            generator_optimizer.zero_grad()
            accelerator.backward(losses["generator_loss"])
            generator_optimizer.step()

            losses |= discriminator_losses(discriminator(image, label), discriminator(generated.detach(), label))
            discriminator_optimizer.zero_grad()
            accelerator.backward(losses["discriminator_loss"])
            discriminator_optimizer.step()

            step += 1
            if step % LOG_EVERY == 0:
                accelerator.log({name: loss.item() for name, loss in losses.items()}, step=step)
            ticks.tick()
            if step == steps:
                accelerator.end_training()
                return


if __name__ == "__main__":
    run(train, __doc__)
