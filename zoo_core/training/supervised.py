"""A trainer whose author writes the loss, and the metrics if there are any."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.optim.lr_scheduler import LRScheduler

from zoo_core.config.optimizer import OptimizerConfig
from zoo_core.config.settings import setting
from zoo_core.dataset import Batch
from zoo_core.errors import RunFailed, describe_type
from zoo_core.trainer import Engine, Metrics, Trainer
from zoo_core.training.error_attribution import defined_at

Ratio = tuple[Tensor, Tensor]
"""A sum over some units, and their number."""


class SupervisedTrainer(Trainer):
    """Base class of trainers that minimize one loss of one model: write `loss`, and `metrics` if there are any.

    It creates the optimizer and the schedule by name, clips gradients, and evaluates: every metric is a mean over all
    examples, whatever the batch size and the number of processes. Gradient accumulation, several processes and CUDA
    graphs work without further code.

    Parameters
    ----------
    config : SupervisedTrainer.Config
        The settings: those of `OptimizerConfig`, such as ``learning_rate``, and ``max_grad_norm``. Further ones are
        added with ``class Config(zoo.SupervisedTrainer.Config):``.

    Attributes
    ----------
    model : torch.nn.Module
        The model to call in `loss` and `metrics`, as `Engine.prepare` returned it.
    optimizer : torch.optim.Optimizer
        The optimizer.
    schedule : torch.optim.lr_scheduler.LRScheduler
        The learning rate schedule.
    engine : Engine
        The device, the precision and the processes of the run.

    See Also
    --------
    Trainer : Base class of trainers with several losses, models or optimizers.

    Notes
    -----
    A loss that is not a mean over examples, such as one that compares the examples of a batch, cannot be computed in
    parts: set ``supports_grad_accumulation = False``.

    Examples
    --------
    >>> class Classifier(zoo.SupervisedTrainer):
    ...     protocol = "accuracy: fraction of the test images that are classified correctly."
    ...
    ...     def loss(self, batch: zoo.Batch) -> torch.Tensor:
    ...         return F.cross_entropy(self.model(batch["image"]), batch["label"])
    ...
    ...     def metrics(self, batch: zoo.Batch) -> zoo.Metrics:
    ...         return {"accuracy": (self.model(batch["image"]).argmax(dim=1) == batch["label"]).float().mean()}
    """

    @dataclass(frozen=True, kw_only=True)
    class Config(OptimizerConfig):
        """The settings of the optimizer and the schedule, and gradient clipping."""

        weight_decay: float = setting(1e-2, "weight decay", ge=0)
        max_grad_norm: float = setting(0.0, "maximum norm of the gradients; 0 disables clipping", ge=0)

    config: Any
    model: Any
    optimizer: torch.optim.Optimizer
    schedule: LRScheduler
    engine: Engine
    supports_grad_accumulation = distributed_evaluation = True

    def __init_subclass__(cls, **arguments: Any) -> None:
        super().__init_subclass__(**arguments)
        if not issubclass(cls.Config, SupervisedTrainer.Config):
            raise TypeError(
                f"{cls.__name__}.Config lacks the settings of SupervisedTrainer, such as learning_rate. "
                "Write `class Config(zoo.SupervisedTrainer.Config):`."
            )

    @abstractmethod
    def loss(self, batch: Batch) -> Tensor:
        """Return the loss of a batch, which the run minimizes.

        Called in training and, without gradients, in evaluations.

        Parameters
        ----------
        batch : Batch
            A batch, on the device. Call ``self.model`` with what it contains.

        Returns
        -------
        torch.Tensor
            The mean over the examples of the batch, or over what `count` counts; shape ``()``.
        """

    def metrics(self, batch: Batch) -> Mapping[str, Tensor | tuple[Tensor, Tensor]]:
        """Return further metrics of a batch; called in evaluations only, without gradients.

        Parameters
        ----------
        batch : Batch
            A batch, on the device.

        Returns
        -------
        mapping of str to torch.Tensor or (torch.Tensor, torch.Tensor)
            Each metric is either a mean over the examples of the batch, or over what `count` counts, of shape ``()``;
            or a sum over anything else and the number of its terms, ``(total, number)``. The evaluation gives the mean
            over all batches, in which every example, or every term, counts the same. ``"loss"`` is always measured.
        """
        return {}

    def count(self, batch: Batch) -> Tensor:
        """Return what the mean of `loss` is over: by default the number of examples.

        Override it if the loss is a mean over something else, of which batches have different numbers, such as tokens
        that are not padding. `loss` should return 0 for a batch in which there is nothing to count.

        Parameters
        ----------
        batch : Batch
            A batch, on the device.

        Returns
        -------
        torch.Tensor
            The number, or the sum of the weights, of shape ``()``. It depends on the batch only, and on no random
            numbers.
        """
        return torch.tensor(len(next(iter(batch.values()))), device=self.engine.device)

    def setup(self, model: Any, engine: Engine) -> None:
        """Create the optimizer and the schedule that the settings name, and prepare the model for the run.

        Parameters
        ----------
        model : Model
            The model to train, on the device.
        engine : Engine
            The device, the precision and the processes of the run.
        """
        self.engine = engine
        self.model, self.optimizer, self.schedule = engine.optimizer(model, self.config)

    def step(self, batch: Batch) -> Metrics:
        """Perform one optimization step of the loss.

        Parameters
        ----------
        batch : Batch
            A batch of training examples, on the device.

        Returns
        -------
        Metrics
            The loss.

        Raises
        ------
        RunFailed
            If the loss does not depend on parameters that are trained.
        """
        loss = self._loss(batch)
        if not loss.requires_grad:
            raise RunFailed(
                f"{self._source('loss')} returns a tensor that does not depend on the trained parameters.",
                "Compute it from what `self.model` returns, without detach(), item() or torch.no_grad().",
            )
        if type(self).count is not SupervisedTrainer.count:
            loss = loss * (self.count(batch) / self.engine.normalizer(batch, self.count))
        self.optimizer.zero_grad()
        self.engine.backward(loss)
        if self.config.max_grad_norm:
            self.engine.clip(self.model, self.config.max_grad_norm)
        self.optimizer.step()
        return {"loss": loss.detach()}

    def after_step(self) -> None:
        """Advance the schedule. An override calls ``super().after_step()``."""
        self.schedule.step()

    @torch.no_grad()
    def evaluate(self, batches: Iterable[Batch], train_batches: Iterable[Batch]) -> Mapping[str, float]:
        """Compute the means of the loss and of the metrics over all examples.

        Parameters
        ----------
        batches : iterable of Batch
            The examples to evaluate on, on the device.
        train_batches : iterable of Batch
            The training examples; not used.

        Returns
        -------
        mapping of str to float
            The means by name.

        Raises
        ------
        RunFailed
            If `loss` or `metrics` returns something else than means and sums, or not the same metrics for each batch.
        """
        self.model.eval()
        names: list[str] = []
        sums = torch.zeros(0, dtype=torch.float64)
        for batch in batches:
            measured = self._measured(batch)
            if not names:
                names, sums = list(measured), torch.zeros(2 * len(measured), dtype=torch.float64)
            if list(measured) != names:
                raise RunFailed(
                    f"{self._source('metrics')} gives {', '.join(measured)} for one batch, and "
                    f"{', '.join(names)} for another.",
                    "Give the same metrics for every batch; one without terms as (0, 0) of tensors.",
                )
            sums += torch.stack([term.float() for ratio in measured.values() for term in ratio]).cpu()
        totals = self.engine.sum(sums).reshape(-1, 2)
        return {name: float(total / number) for name, (total, number) in zip(names, totals, strict=True)}

    def _source(self, method: str) -> str:
        return f"{method} of {type(self).__name__}{defined_at(getattr(type(self), method))}"

    def _loss(self, batch: Batch) -> Tensor:
        loss: Any = self.loss(batch)
        if not isinstance(loss, Tensor) or loss.ndim:
            raise RunFailed(
                f"{self._source('loss')} returns {describe_type(loss)}, but should return a tensor of shape ().",
                "Return the mean over the batch, for example `losses.mean()`.",
            )
        return loss

    def _measured(self, batch: Batch) -> dict[str, Ratio]:
        """The loss and the metrics of a batch, as sums and numbers of their terms."""
        number, given = self.count(batch), self.metrics(batch)
        if not isinstance(given, Mapping):
            raise RunFailed(
                f"{self._source('metrics')} returns {describe_type(given)}, but should return a mapping from "
                "names to tensors.",
                'Return for example {"accuracy": correct.float().mean()}, or {} if there is nothing to measure.',
            )
        if "loss" in given:
            raise RunFailed(
                f"{self._source('metrics')} gives 'loss', which is measured with its method loss.",
                "Leave it out, or give it another name.",
            )
        measured = {"loss": _ratio(self._loss(batch), number)}
        for name, value in given.items():
            terms = value if isinstance(value, tuple) and len(value) == 2 else (value,)
            if not all(isinstance(term, Tensor) and not term.ndim for term in terms):
                raise RunFailed(
                    f"{self._source('metrics')} gives {describe_type(value)} as '{name}', but should give a "
                    "tensor of shape () or a pair of them.",
                    "Return the mean over the batch, for example `correct.float().mean()`, or (total, number).",
                )
            measured[name] = _ratio(terms[0], number) if len(terms) == 1 else (terms[0], terms[1])
        return measured


def _ratio(mean: Tensor, number: Tensor) -> Ratio:
    return torch.where(number > 0, mean * number, 0), number
