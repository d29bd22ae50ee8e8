"""Settings of a trainer that takes its optimizer and its learning rate schedule by name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from zoo_core.config.settings import setting


@dataclass(frozen=True, kw_only=True)
class OptimizerConfig:
    """Settings of an optimizer and a schedule that are chosen by name; a base class of the ``Config`` of a trainer.

    `Engine.optimizer` makes both from it. A ``Config`` that derives from it may give other defaults.

    Parameters
    ----------
    optimizer : str
        Name of the optimizer: ``zoo list optimizers``.
    learning_rate : float
        Learning rate, the highest one of the schedule.
    weight_decay : float
        Weight decay.
    decay_norms_and_biases : bool
        Whether weight decay also applies to parameters with one dimension, such as biases, and to those of
        normalization layers.
    optimizer_options : dict
        Further options of the optimizer: ``zoo info adamw``.
    schedule : str
        Name of the schedule: ``zoo list schedules``.
    warmup : float
        Steps in which the learning rate rises linearly; below 1, a fraction of the run.
    schedule_options : dict
        Options of the schedule: ``zoo info cosine``.
    param_groups : dict
        Options of the parameters whose names match a pattern, such as ``{"backbone.*": {"lr_scale": 0.1}}``.
        ``lr_scale`` multiplies the learning rate; ``weight_decay`` and the options of the optimizer may be given, too.
        The first pattern that matches counts.

    Examples
    --------
    >>> class AutoencoderTrainer(zoo.Trainer):
    ...     @dataclass(frozen=True, kw_only=True)
    ...     class Config(zoo.OptimizerConfig):
    ...         learning_rate: float = zoo.setting(3e-3, "learning rate", gt=0)
    ...
    ...     config: Config
    ...
    ...     def setup(self, model: zoo.Model, engine: zoo.Engine) -> None:
    ...         self.engine = engine
    ...         self.model, self.optimizer, self.schedule = engine.optimizer(model, self.config)
    ...
    ...     def step(self, batch: zoo.Batch) -> zoo.Metrics:
    ...         loss = F.mse_loss(self.model(batch["image"]), batch["image"])
    ...         self.optimizer.zero_grad()
    ...         self.engine.backward(loss)
    ...         self.optimizer.step()
    ...         return {"loss": loss.detach()}
    ...
    ...     def after_step(self) -> None:
    ...         self.schedule.step()
    """

    optimizer: str = setting("adamw", "name of the optimizer: `zoo list optimizers`")
    learning_rate: float = setting(1e-3, "learning rate, the highest one of the schedule", gt=0)
    weight_decay: float = setting(0.0, "weight decay", ge=0)
    decay_norms_and_biases: bool = setting(False, "apply weight decay to biases and normalization layers, too")
    optimizer_options: dict[str, Any] = setting({}, "further options of the optimizer: `zoo info OPTIMIZER`")
    schedule: str = setting("constant", "name of the schedule: `zoo list schedules`")
    warmup: float = setting(0.0, "steps in which the learning rate rises; below 1, a fraction of the run", ge=0)
    schedule_options: dict[str, Any] = setting({}, "options of the schedule: `zoo info SCHEDULE`")
    param_groups: dict[str, dict[str, Any]] = setting(
        {}, "options of parameters by pattern: {'backbone.*': {lr_scale: 0.1, weight_decay: 0}}"
    )
