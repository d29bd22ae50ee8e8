"""Adversarial training: one generator update, then one discriminator update on the same generated images."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.optim.lr_scheduler import LambdaLR

import zoo_core as zoo
from zoo_plugins.clsgan.augment import UPDATE_INTERVAL, augment, update_augment_p
from zoo_plugins.clsgan.classifiers import check_trainable
from zoo_plugins.clsgan.metrics import GANEvaluator
from zoo_plugins.clsgan.model import CLSGAN
from zoo_plugins.clsgan.pixel_metrics import PixelEvaluator
from zoo_plugins.clsgan.sampler import same_label_order
from zoo_plugins.common.labels import check_labels


class CLSGANTrainer(zoo.Trainer):
    """Trains GAN, CGAN, LSGAN and C-LSGAN, depending on the settings.

    The default settings are those of ``clsgan-mnist-reference``.
    """

    @dataclass(frozen=True, kw_only=True)
    class Config:
        loss: Literal["least-squares", "cross-entropy"] = zoo.setting(
            "least-squares",
            "least squares (Mao et al. 2017), or non-saturating cross-entropy (Goodfellow et al. 2014)",
        )
        l1_weight: float = zoo.setting(0.05, "weight of the L1 loss in the generator's loss (Isola et al. 2017)", ge=0)
        generator_learning_rate: float = zoo.setting(3e-4, "learning rate of the generator (Adam)", gt=0)
        discriminator_learning_rate: float = zoo.setting(3e-4, "learning rate of the discriminator (Adam)", gt=0)
        betas: tuple[float, float] = zoo.setting((0.4, 0.8), "coefficients of Adam's running averages", ge=0, lt=1)
        weight_decay: float = zoo.setting(1e-4, "weight decay (L2 penalty) of Adam", ge=0)
        lr_decay_start: float = zoo.setting(
            1.0, "fraction of the run after which the learning rates decay linearly to zero", ge=0, le=1
        )
        ada_target: float = zoo.setting(
            0.0,
            "adaptive discriminator augmentation: discriminator's loss on real images below which the augmentation "
            "probability rises; 0 disables it",
            ge=0,
        )
        ada_start: float = zoo.setting(
            0.25, "fraction of the run after which the augmentation probability is adapted", ge=0, le=1
        )
        same_label_group_size: int = zoo.setting(1, "consecutive training images with the same label", ge=1)
        evaluation: Literal["classifier", "pixels"] = zoo.setting(
            "classifier",
            "classifier: metrics by eval_classifier; pixels: metrics of the pixels, for your own images",
        )
        eval_classifier: str | None = zoo.setting(
            "digit-classifier-mnist",
            "weights or run of the classifier for evaluation=classifier, of the same classes; null: no evaluation",
        )
        cas_classifier: str | None = zoo.setting(
            None, "model to train for the classification accuracy score (CAS); null disables it"
        )

    config: Config
    supports_grad_accumulation = True
    averaged_modules = ("generator",)
    protocol = (
        "With trainer.evaluation=classifier, 1,000 generated digits per class against the test digits; the classifier "
        "is trainer.eval_classifier. "
        "accuracy: fraction classified as the label conditioned on. intra_class_std_ratio: standard deviation of the "
        "pixels within a class over that of the test digits, averaged over the classes. frechet_distance: in the "
        "classifier's feature space; frechet_distance_real: of as many training digits, the first ones; frechet_ratio: "
        "their quotient. min_class_fraction (unconditional models): fraction of the least frequent class. cas: "
        "accuracy on the test digits of a new classifier trained on the generated digits; cas_real: trained on those "
        "training digits. With trainer.evaluation=pixels, as many images as there are training images, up to 5,000: "
        "pixel_frechet_distance: to the test images, in 64 principal components of the training images, in units of "
        "their total variance; pixel_frechet_distance_real: of the training images; pixel_frechet_ratio: the quotient. "
        "total_variation_ratio and intra_class_std_ratio (std_ratio for unconditional models): over those of the "
        "training images."
    )

    def setup(self, model: CLSGAN, engine: zoo.Engine) -> None:
        if not (hasattr(model, "generator") and hasattr(model, "discriminator")):
            raise zoo.ZooError(
                "the trainer 'clsgan' needs a model with a generator and a discriminator, but this model has none.",
                "Choose a GAN: `model.name=clsgan`.",
            )
        adam = partial(torch.optim.Adam, betas=self.config.betas, weight_decay=self.config.weight_decay, fused=True)
        generator_optimizer = adam(model.generator.parameters(), lr=self.config.generator_learning_rate)
        discriminator_optimizer = adam(model.discriminator.parameters(), lr=self.config.discriminator_learning_rate)
        if self.config.lr_decay_start < 1:
            decay = partial(linear_decay, start=self.config.lr_decay_start * engine.total_steps, end=engine.total_steps)
            self.generator_schedule = LambdaLR(generator_optimizer, decay)
            self.discriminator_schedule = LambdaLR(discriminator_optimizer, decay)
        self.generator, self.generator_optimizer = engine.prepare(model.generator, generator_optimizer)
        self.discriminator, self.discriminator_optimizer = engine.prepare(model.discriminator, discriminator_optimizer)
        self.steps, self.augments = 0, False
        # On the device, so that a step need not wait for it. An Apple GPU has no float64.
        dtype = torch.float32 if engine.device.type == "mps" else torch.float64
        self.augment_p = torch.zeros((), dtype=dtype, device=engine.device)
        self._real_loss = torch.zeros((), device=engine.device)  # of the discriminator, mean of the batch
        self._ada_start_step = self.config.ada_start * engine.total_steps
        self.engine, self._model = engine, model
        self._generator_parameters = list(model.generator.parameters())
        self._evaluator = self._make_evaluator(model, engine)

    def step(self, batch: zoo.Batch) -> zoo.Metrics:
        image, label = batch["image"], self._label(batch)  # (N, C, H, W) in [0, 1], (N,)
        _check_size(image, self._model.config)
        if label is not None and self.engine.may_read:
            check_labels(label, self._model.config.num_classes)
        noise = torch.randn(len(image), self._model.config.latent_dim, device=image.device)  # (N, latent_dim)
        generated = self.generator(noise, label)  # (N, C, H, W)

        # Only the generator's gradients are computed here. DDP's wrapper would wait for the discriminator's gradients.
        score = self.engine.unwrap(self.discriminator)(self._augment(generated), label)
        generator_loss = self._loss(score, real=True)
        metrics = {}
        if self.config.l1_weight:
            metrics["l1_loss"] = F.l1_loss(generated, image)
            generator_loss = generator_loss + self.config.l1_weight * metrics["l1_loss"]
        self.generator_optimizer.zero_grad()
        self.engine.backward(generator_loss, inputs=self._generator_parameters)
        self.generator_optimizer.step()

        # One pass over real and generated images: the discriminator has no batch normalization that would mix them.
        both = self._augment(torch.cat([image, generated.detach()]))  # (2 N, C, H, W)
        real_score, fake_score = self.discriminator(both, None if label is None else label.repeat(2)).chunk(2)
        real_loss, fake_loss = self._loss(real_score, real=True), self._loss(fake_score, real=False)
        discriminator_loss = real_loss + fake_loss
        self.discriminator_optimizer.zero_grad()
        self.engine.backward(discriminator_loss)
        self.discriminator_optimizer.step()

        self._real_loss += real_loss.detach() / self.engine.grad_accumulation_steps
        metrics |= {"generator_loss": generator_loss, "discriminator_loss": discriminator_loss}
        metrics |= {"real_loss": real_loss, "fake_loss": fake_loss}
        if self.config.ada_target:
            metrics["augment_p"] = self.augment_p.clone()
        return {name: value.detach() for name, value in metrics.items()}

    def after_step(self) -> None:
        self.steps += 1
        adapts = self.config.ada_target and self.steps >= self._ada_start_step
        if adapts and self.steps % UPDATE_INTERVAL == 0:
            self.augments = True
            update_augment_p(self.augment_p, self.engine.gather(self._real_loss[None]).mean(), self.config.ada_target)
        self._real_loss.zero_()
        if self.config.lr_decay_start < 1:
            self.generator_schedule.step()
            self.discriminator_schedule.step()

    def order(self, examples: zoo.Examples, generator: torch.Generator) -> Tensor:
        if self.config.same_label_group_size == 1:
            return super().order(examples, generator)
        return same_label_order(examples, self.config.same_label_group_size, generator)

    def evaluation_metrics(self) -> Iterable[str]:
        return self._evaluator.names if self._evaluator else ()

    def evaluate(self, batches: Iterable[zoo.Batch], train_batches: Iterable[zoo.Batch]) -> Mapping[str, float]:
        if self._evaluator is None:
            return {}
        return self._evaluator.evaluate(self._model.generator, batches, train_batches)

    @torch.no_grad()
    def preview(self, batch: zoo.Batch) -> Tensor:
        """Real images, each with a generated image of the same label to its right: (N, C, H, 2 * W)."""
        image, label = batch["image"], self._label(batch)
        noise = torch.randn(len(image), self._model.config.latent_dim, device=image.device)
        generator = self._model.generator.eval()
        generated = generator(noise, label)
        generator.train()
        return torch.cat([image, generated], dim=3)

    def _label(self, batch: zoo.Batch) -> Tensor | None:
        if self._model.config.conditional and "label" not in batch:
            raise zoo.BadSetting(
                "the model is conditional, but the dataset has no labels.",
                "Write `model.conditional=false trainer.same_label_group_size=1`.",
            )
        return batch["label"] if self._model.config.conditional else None

    def _make_evaluator(self, model: CLSGAN, engine: zoo.Engine) -> GANEvaluator | PixelEvaluator | None:
        eval_classifier, cas_classifier = self.config.eval_classifier, self.config.cas_classifier
        if self.config.evaluation == "classifier" and eval_classifier is None:
            return None
        if cas_classifier:
            check_trainable(cas_classifier, model.config)
        if self.config.evaluation == "classifier":
            return GANEvaluator(eval_classifier or "", cas_classifier, engine.device, model.config)
        return PixelEvaluator(cas_classifier, engine.device, model.config)

    def _loss(self, score: Tensor, *, real: bool) -> Tensor:
        """The loss of scores (N,) for the target real or generated.

        With "least-squares": Mao et al. 2017, eq. 9 without the factor 1/2, with a = 0 and b = c = 1. With
        "cross-entropy": Goodfellow et al. 2014, eq. 1, and the non-saturating generator loss of its section 3.
        """
        if self.config.loss == "least-squares":
            return (score - float(real)).square().mean()
        target = torch.full_like(score, float(real))
        if self._model.config.sigmoid:
            return F.binary_cross_entropy(score, target)
        return F.binary_cross_entropy_with_logits(score, target)

    def _augment(self, image: Tensor) -> Tensor:
        """Images (N, C, H, W), augmented once the probability may be above 0."""
        return augment(image, self.augment_p) if self.augments else image


def linear_decay(step: int, start: float, end: float) -> float:
    """1 until ``start``, then linearly to 0 at ``end``."""
    return 1.0 if step < start or start == end else max(0.0, (end - step) / (end - start))


def _check_size(image: Tensor, config: CLSGAN.Config) -> None:
    expected = config.channels, config.height, config.width
    if image.shape[1:] != expected:
        given = dict(zip(("channels", "height", "width"), image.shape[1:], strict=False))
        raise zoo.BadSetting(
            f"the images are {tuple(image.shape[1:])}, but the model generates {expected}.",
            "Write `" + " ".join(f"model.{name}={value}" for name, value in given.items()) + "`.",
        )
