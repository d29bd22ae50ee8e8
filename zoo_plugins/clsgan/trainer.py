"""Adversarial training: first the generator, then the discriminator on the same generated pictures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.optim.lr_scheduler import LambdaLR

import zoo_core as zoo
from zoo_plugins.clsgan.augment import EVERY, adapted, moved
from zoo_plugins.clsgan.metrics import Judgement
from zoo_plugins.clsgan.model import CLSGAN
from zoo_plugins.clsgan.sampler import groups_of_one_label
from zoo_plugins.common.ema import averaged, update
from zoo_plugins.common.labels import refuse_unknown


class CLSGANTrainer(zoo.Trainer):
    """GAN, CGAN, LSGAN and C-LSGAN by their settings; the defaults are those of ``clsgan-mnist-reference``."""

    @dataclass(frozen=True, kw_only=True)
    class Config:
        loss: Literal["least-squares", "cross-entropy"] = zoo.setting(
            "least-squares",
            "Mao et al. 2017, eq. 9 without its halves, a = 0, b = c = 1; or Goodfellow et al. 2014, non-saturating",
        )
        reconstruction: float = zoo.setting(0.05, "weight of mean|generated - real| in the generator's loss", least=0)
        generator_learning_rate: float = zoo.setting(3e-4, "Adam step size of the generator", above=0)
        discriminator_learning_rate: float = zoo.setting(3e-4, "Adam step size of the discriminator", above=0)
        betas: tuple[float, float] = zoo.setting((0.4, 0.8), "Adam's moment decays", least=0, below=1)
        weight_decay: float = zoo.setting(1e-4, "Adam's L2 penalty", least=0)
        constant: float = zoo.setting(
            1.0, "share of the run before the step sizes fall linearly to zero", least=0, most=1
        )
        averaging: float = zoo.setting(
            0.0, "decay of the generator's averaged weights, which are published", least=0, below=1
        )
        least_real_loss: float = zoo.setting(
            0.0,
            "while the discriminator's loss on real pictures is below this, more and more pictures are moved a little "
            "before it sees them; 0 never does",
            least=0,
        )
        least_real_loss_from: float = zoo.setting(
            0.25,
            "share of the run from which that is heeded: a young generator is told apart with nothing learnt by heart",
            least=0,
            most=1,
        )
        label_group: int = zoo.setting(1, "batches are made of groups of so many pictures of one label", least=1)
        judge: str | None = zoo.setting(
            "digit-classifier-mnist", "weights of the classifier that evaluates; null evaluates nothing"
        )
        pupil: str | None = zoo.setting(
            None, "model of a classifier that is trained on generated pictures and tested on real ones; null: none"
        )

    config: Config
    accumulates = True
    protocol = (
        "1,000 generated digits a class against the evaluation digits; the classifier is that of trainer.judge. "
        "accuracy: share that it reads as the label asked for; diversity: the pixels' standard deviation within a "
        "class over that of the evaluation digits, averaged over the classes; distance: Frechet distance in the "
        "classifier's features, its floor that of as many training digits, the first ones; rarest_class, of a model "
        "without labels: the share of the class that is read least; pupil_accuracy: on the evaluation digits, of a new "
        "classifier that learnt the generated digits (pupil_accuracy_real: those training digits instead)."
    )

    def setup(self, model: CLSGAN, engine: zoo.Engine) -> None:
        adam = partial(torch.optim.Adam, betas=self.config.betas, weight_decay=self.config.weight_decay, fused=True)
        of_generator = adam(model.generator.parameters(), lr=self.config.generator_learning_rate)
        of_discriminator = adam(model.discriminator.parameters(), lr=self.config.discriminator_learning_rate)
        if self.config.constant < 1:
            falling = partial(_falling, start=self.config.constant * engine.total_steps, end=engine.total_steps)
            self.generator_schedule = LambdaLR(of_generator, falling)
            self.discriminator_schedule = LambdaLR(of_discriminator, falling)
        if self.config.averaging:
            self.average = averaged(model.generator)
        self.generator, self.generator_optimizer = engine.prepare(model.generator, of_generator)
        self.discriminator, self.discriminator_optimizer = engine.prepare(model.discriminator, of_discriminator)
        self.steps, self.moved_share = 0, 0.0
        self._heeded_from = self.config.least_real_loss_from * engine.total_steps
        self.engine, self._model = engine, model
        self._generator_parameters = list(model.generator.parameters())
        self._judgement = (
            Judgement(self.config.judge, self.config.pupil, engine.device, model.config) if self.config.judge else None
        )

    def step(self, batch: zoo.Batch) -> zoo.Metrics:
        image, label = batch["image"], self._label(batch)  # (N, 1, 28, 28) in [0, 1], (N,)
        if self.steps == 0 and label is not None:
            refuse_unknown(label, self._model.config.num_classes)
        noise = torch.randn(len(image), self._model.config.latent_dim, device=image.device)
        generated = self.generator(noise, label)

        # Only the generator's gradients are asked for, so the discriminator's wrapper must not wait for its own.
        score = self.engine.unwrap(self.discriminator)(moved(generated, self.moved_share), label)
        generator_loss = self._loss(score, real=True)
        metrics = {}
        if self.config.reconstruction:
            metrics["reconstruction_loss"] = F.l1_loss(generated, image)
            generator_loss = generator_loss + self.config.reconstruction * metrics["reconstruction_loss"]
        self.generator_optimizer.zero_grad()
        self.engine.backward(generator_loss, inputs=self._generator_parameters)
        self.generator_optimizer.step()

        # One pass for real and generated pictures: the discriminator has no batch statistics across the two.
        both = moved(torch.cat([image, generated.detach()]), self.moved_share)
        real_score, fake_score = self.discriminator(both, None if label is None else label.repeat(2)).chunk(2)
        real_loss, fake_loss = self._loss(real_score, real=True), self._loss(fake_score, real=False)
        discriminator_loss = real_loss + fake_loss
        self.discriminator_optimizer.zero_grad()
        self.engine.backward(discriminator_loss)
        self.discriminator_optimizer.step()

        if self.engine.updating:
            self._after_step(real_loss)
        metrics |= {"generator_loss": generator_loss, "discriminator_loss": discriminator_loss}
        metrics |= {"real_loss": real_loss, "fake_loss": fake_loss}
        if self.config.least_real_loss:
            metrics["moved_share"] = torch.tensor(self.moved_share)
        return {name: value.detach() for name, value in metrics.items()}

    def order(self, examples: zoo.Examples, generator: torch.Generator) -> Tensor:
        if self.config.label_group == 1:
            return super().order(examples, generator)
        return groups_of_one_label(examples, self.config.label_group, generator)

    def evaluate(self, evaluation: Iterable[zoo.Batch], training: Iterable[zoo.Batch]) -> Mapping[str, float]:
        if self._judgement is None:
            return {}
        return self._judgement.of(self._published, evaluation, training)

    @torch.no_grad()
    def preview(self, batch: zoo.Batch) -> Tensor:
        """Each real picture with a generated one of the same label to its right: (N, 1, 28, 56)."""
        image, label = batch["image"], self._label(batch)
        noise = torch.randn(len(image), self._model.config.latent_dim, device=image.device)
        generator = self._published.eval()
        generated = generator(noise, label)
        generator.train()
        return torch.cat([image, generated], dim=3)

    def finish(self) -> None:
        if self.config.averaging:
            self._model.generator.load_state_dict(self.average.module.state_dict())

    @property
    def _published(self) -> Any:
        return self.average.module if self.config.averaging else self._model.generator

    def _label(self, batch: zoo.Batch) -> Tensor | None:
        return batch["label"] if self._model.config.conditional else None

    def _loss(self, score: Tensor, *, real: bool) -> Tensor:
        if self.config.loss == "least-squares":
            return (score - float(real)).square().mean()
        target = torch.full_like(score, float(real))
        if self._model.config.sigmoid:
            return F.binary_cross_entropy(score, target)
        return F.binary_cross_entropy_with_logits(score, target)

    def _after_step(self, real_loss: Tensor) -> None:
        self.steps += 1
        heeded = self.config.least_real_loss and self.steps >= self._heeded_from
        if heeded and self.steps % EVERY == 0:
            loss = float(self.engine.gather(real_loss.detach().view(1)).mean())
            self.moved_share = adapted(self.moved_share, loss, self.config.least_real_loss)
        if self.config.averaging:
            update(self.average, self._model.generator, self.steps, self.config.averaging)
        if self.config.constant < 1:
            self.generator_schedule.step()
            self.discriminator_schedule.step()


def _falling(step: int, start: float, end: float) -> float:
    """1 until ``start``, then linearly to 0 at ``end``."""
    return 1.0 if step < start or start == end else max(0.0, (end - step) / (end - start))
