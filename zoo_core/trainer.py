"""How a model is trained, and what a trainer may ask of the machine."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Protocol, TypeVar, TypeVarTuple

import torch
from torch import Tensor, nn

from zoo_core.config.settings import check_config_class
from zoo_core.dataset import Batch, Examples

Metrics = Mapping[str, Tensor]
"""What a step reports, by name: detached 0-d tensors."""
M = TypeVar("M", bound=nn.Module)
Os = TypeVarTuple("Os")


class Engine(Protocol):
    """What a trainer may ask of the machine: the device, its precision and the processes, behind a few words."""

    device: torch.device
    """Where the networks and the batches are."""
    total_steps: int
    """Steps of the whole run, for schedules."""
    is_rank_zero: bool
    """Whether this process is the one that writes."""

    def prepare(self, module: M, *optimizers: *Os) -> tuple[M, *Os]:
        """The module on the device, wrapped for precision and processes, and its optimizers."""

    def backward(self, loss: Tensor, inputs: Iterable[nn.Parameter] | None = None) -> None:
        """``loss.backward()``, scaled where the precision needs it; with ``inputs``, gradients of those alone."""

    def clip(self, module: nn.Module, max_norm: float) -> Tensor:
        """Scale the gradients down to ``max_norm``; gives their norm before.

        Where ``updating`` is false there is no norm yet, and it gives 0: report it only where it is true.
        """

    def unwrap(self, module: M) -> M:
        """The module as it was before ``prepare``."""

    @property
    def updating(self) -> bool:
        """Whether this call of ``Trainer.step`` ends in an update of the weights.

        With ``run.grad_accumulation_steps`` only the last part of a batch does. Step schedules and averages only then.
        """

    def gather(self, tensor: Tensor) -> Tensor:
        """The tensors of all processes, one behind the other along the first dimension."""

    def sum(self, tensor: Tensor) -> Tensor:
        """The sum of all processes' tensors. In ``evaluate``, of what each found in its share of the examples."""


class Trainer(ABC):
    """The researcher's script without what surrounds it: no loop, device, seed, checkpoint or logging.

    It holds networks and optimizers, takes a batch and makes a step; the framework does the rest.

    What a trainer holds in its attributes is its state and is saved: modules, optimizers, schedules (anything with
    ``state_dict`` and ``load_state_dict``), tensors, numbers, strings, and lists, tuples and mappings of the last
    three; of a module also what is frozen or in eval mode. Objects are made in ``setup``; numbers and tensors may come
    later. An attribute with a leading underscore is not state and must be such that it can be made again; ``config``
    and ``engine`` are not state either, nor are the model's own attributes: use its buffers. Something that could not
    be saved stops the run before the first step, or behind it. Of several processes the first one's state is saved, so
    it should be the same in all: what a process finds in its share of a batch goes through ``engine.sum`` or
    ``gather``.
    """

    Config: ClassVar[type[Any]]
    config: Any
    """The settings, each checked."""
    protocol: ClassVar[str] = ""
    """How ``evaluate`` measures, in a sentence or two; it is published with the figures."""
    supports_grad_accumulation: ClassVar[bool] = False
    """Whether ``step`` uses ``engine.updating``, so that it may be called with parts of a batch
    (``run.grad_accumulation_steps``)."""
    distributed_evaluation: ClassVar[bool] = False
    """Whether ``evaluate`` adds up with ``engine.sum``, so that of several processes each gets a share of the
    evaluation examples, and no two of them the same; otherwise each gets all of them."""

    def __init_subclass__(cls, **arguments: Any) -> None:
        super().__init_subclass__(**arguments)
        check_config_class(cls)

    def __init__(self, config: Any) -> None:
        self.config = config

    @abstractmethod
    def setup(self, model: Any, engine: Engine) -> None:
        """Make optimizers and schedules; hand networks to ``engine.prepare``. Called once."""

    @abstractmethod
    def step(self, batch: Batch) -> Metrics:
        """One optimization step on ``batch``, which is on the device. Gives detached 0-d tensors to report.

        Random draws are reproducible as they stand: every step is seeded from the run's seed and its number.
        """

    def order(self, examples: Examples, generator: torch.Generator) -> Tensor:
        """The order of an epoch: indices into the training examples (L,), drawn from ``generator`` alone.

        Override it for batches of a kind: groups of one label, balanced classes. L should not differ between epochs.
        """
        return torch.randperm(len(examples), generator=generator)

    def evaluate(self, evaluation: Iterable[Batch], training: Iterable[Batch]) -> Mapping[str, float]:
        """Measure the model on the evaluation examples. ``training`` gives the training examples in stored order,
        for measures that compare with them; it costs nothing unless it is iterated.

        A name with a slash, such as ``mse/3``, is a detail: it is kept with the others, but not printed.
        """
        return {}

    def preview(self, batch: Batch) -> Tensor | None:
        """Pictures (N, C, H, W) in [0, 1] for a person to look at, from a fixed batch of validation examples.

        Clips are (N, T, C, H, W): a picture with a row for each, and an animation, three side by side. What raises, or
        is none of these, ends the pictures of a run with a warning, and not the run.
        """
        return None

    def finalize(self) -> None:  # noqa: B027  # nothing to do is the right default
        """Put into the model what is to be published, such as averaged weights. Called once, after the last step."""
