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
from zoo_plugins.clsgan.augment import EVERY, augment, update_augment_p
from zoo_plugins.clsgan.metrics import GANEvaluator
from zoo_plugins.clsgan.model import CLSGAN
from zoo_plugins.clsgan.sampler import same_label_order
from zoo_plugins.common.ema import make_ema, update_ema
from zoo_plugins.common.labels import refuse_unknown


class CLSGANTrainer(zoo.Trainer):
    """GAN, CGAN, LSGAN and C-LSGAN by their settings; the defaults are those of ``clsgan-mnist-reference``."""

    @dataclass(frozen=True, kw_only=True)
    class Config:
        loss: Literal["least-squares", "cross-entropy"] = zoo.setting(
            "least-squares",
            "Mao et al. 2017, eq. 9 without its halves, a = 0, b = c = 1; or Goodfellow et al. 2014, non-saturating",
        )
        l1_weight: float = zoo.setting(0.05, "weight of mean|generated - real| in the generator's loss", ge=0)
        generator_learning_rate: float = zoo.setting(3e-4, "Adam step size of the generator", gt=0)
        discriminator_learning_rate: float = zoo.setting(3e-4, "Adam step size of the discriminator", gt=0)
        betas: tuple[float, float] = zoo.setting((0.4, 0.8), "Adam's moment decays", ge=0, lt=1)
        weight_decay: float = zoo.setting(1e-4, "Adam's L2 penalty", ge=0)
        lr_decay_start: float = zoo.setting(
            1.0, "share of the run before the step sizes fall linearly to zero", ge=0, le=1
        )
        ema_decay: float = zoo.setting(
            0.0, "decay of the generator's averaged weights, which are published", ge=0, lt=1
        )
        ada_target: float = zoo.setting(
            0.0,
            "while the discriminator's loss on real pictures is below this, more and more pictures are moved a little "
            "before it sees them; 0 never does",
            ge=0,
        )
        ada_start: float = zoo.setting(
            0.25,
            "share of the run from which that is heeded: a young generator is told apart with nothing learnt by heart",
            ge=0,
            le=1,
        )
        same_label_group_size: int = zoo.setting(1, "batches are made of groups of so many pictures of one label", ge=1)
        eval_classifier: str | None = zoo.setting(
            "digit-classifier-mnist", "weights of the classifier that evaluates; null evaluates nothing"
        )
        cas_classifier: str | None = zoo.setting(
            None, "model of a classifier that is trained on generated pictures and tested on real ones; null: none"
        )

    config: Config
    supports_grad_accumulation = True
    protocol = (
        "1,000 generated digits per class against the test digits; the classifier is trainer.eval_classifier. "
        "accuracy: fraction classified as the label asked for. intra_class_std_ratio: standard deviation of the pixels "
        "within a class over that of the test digits, averaged over the classes. frechet_distance: in the classifier's "
        "features; frechet_distance_real: of as many training digits, the first ones; frechet_ratio: their quotient. "
        "min_class_fraction (models without labels): fraction of the least frequent class. cas: accuracy on the test "
        "digits of a new classifier trained on the generated digits; cas_real: trained on those training digits."
    )

    def setup(self, model: CLSGAN, engine: zoo.Engine) -> None:
        adam = partial(torch.optim.Adam, betas=self.config.betas, weight_decay=self.config.weight_decay, fused=True)
        of_generator = adam(model.generator.parameters(), lr=self.config.generator_learning_rate)
        of_discriminator = adam(model.discriminator.parameters(), lr=self.config.discriminator_learning_rate)
        if self.config.lr_decay_start < 1:
            falling = partial(
                linear_decay, start=self.config.lr_decay_start * engine.total_steps, end=engine.total_steps
            )
            self.generator_schedule = LambdaLR(of_generator, falling)
            self.discriminator_schedule = LambdaLR(of_discriminator, falling)
        if self.config.ema_decay:
            self.ema = make_ema(model.generator)
        self.generator, self.generator_optimizer = engine.prepare(model.generator, of_generator)
        self.discriminator, self.discriminator_optimizer = engine.prepare(model.discriminator, of_discriminator)
        self.steps, self.augment_p = 0, 0.0
        self._heeded_from = self.config.ada_start * engine.total_steps
        self.engine, self._model = engine, model
        self._generator_parameters = list(model.generator.parameters())
        self._evaluator = (
            GANEvaluator(self.config.eval_classifier, self.config.cas_classifier, engine.device, model.config)
            if self.config.eval_classifier
            else None
        )

    def step(self, batch: zoo.Batch) -> zoo.Metrics:
        image, label = batch["image"], self._label(batch)  # (N, 1, 28, 28) in [0, 1], (N,)
        if self.steps == 0 and label is not None:
            refuse_unknown(label, self._model.config.num_classes)
        noise = torch.randn(len(image), self._model.config.latent_dim, device=image.device)
        generated = self.generator(noise, label)

        # Only the generator's gradients are asked for, so the discriminator's wrapper must not wait for its own.
        score = self.engine.unwrap(self.discriminator)(augment(generated, self.augment_p), label)
        generator_loss = self._loss(score, real=True)
        metrics = {}
        if self.config.l1_weight:
            metrics["l1_loss"] = F.l1_loss(generated, image)
            generator_loss = generator_loss + self.config.l1_weight * metrics["l1_loss"]
        self.generator_optimizer.zero_grad()
        self.engine.backward(generator_loss, inputs=self._generator_parameters)
        self.generator_optimizer.step()

        # One pass for real and generated pictures: the discriminator has no batch statistics across the two.
        both = augment(torch.cat([image, generated.detach()]), self.augment_p)
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
        if self.config.ada_target:
            metrics["augment_p"] = torch.tensor(self.augment_p)
        return {name: value.detach() for name, value in metrics.items()}

    def order(self, examples: zoo.Examples, generator: torch.Generator) -> Tensor:
        if self.config.same_label_group_size == 1:
            return super().order(examples, generator)
        return same_label_order(examples, self.config.same_label_group_size, generator)

    def evaluate(self, batches: Iterable[zoo.Batch], train_batches: Iterable[zoo.Batch]) -> Mapping[str, float]:
        if self._evaluator is None:
            return {}
        return self._evaluator.of(self._published, batches, train_batches)

    @torch.no_grad()
    def preview(self, batch: zoo.Batch) -> Tensor:
        """Each real picture with a generated one of the same label to its right: (N, 1, 28, 56)."""
        image, label = batch["image"], self._label(batch)
        noise = torch.randn(len(image), self._model.config.latent_dim, device=image.device)
        generator = self._published.eval()
        generated = generator(noise, label)
        generator.train()
        return torch.cat([image, generated], dim=3)

    def finalize(self) -> None:
        if self.config.ema_decay:
            self._model.generator.load_state_dict(self.ema.module.state_dict())

    @property
    def _published(self) -> Any:
        return self.ema.module if self.config.ema_decay else self._model.generator

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
        heeded = self.config.ada_target and self.steps >= self._heeded_from
        if heeded and self.steps % EVERY == 0:
            loss = float(self.engine.gather(real_loss.detach().view(1)).mean())
            self.augment_p = update_augment_p(self.augment_p, loss, self.config.ada_target)
        if self.config.ema_decay:
            update_ema(self.ema, self._model.generator, self.steps, self.config.ema_decay)
        if self.config.lr_decay_start < 1:
            self.generator_schedule.step()
            self.discriminator_schedule.step()


def linear_decay(step: int, start: float, end: float) -> float:
    """1 until ``start``, then linearly to 0 at ``end``."""
    return 1.0 if step < start or start == end else max(0.0, (end - step) / (end - start))
