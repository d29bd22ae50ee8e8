"""How a model is trained: the interface of trainers, and of the engine that they use."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeVar, TypeVarTuple

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from zoo_core.config.config_class import NoSettings, prepare_config_class
from zoo_core.config.optimizer import OptimizerConfig
from zoo_core.dataset import Batch, Examples

if TYPE_CHECKING:
    from zoo_core.data.values import Shown

Metrics = Mapping[str, Tensor]
"""Metrics of one step by name: 0-d tensors, detached from the graph. What `Trainer.step` returns."""
M = TypeVar("M", bound=nn.Module)
Os = TypeVarTuple("Os")


class Engine(Protocol):
    """The device, the precision and the processes of a run, as a trainer uses them.

    `Trainer.setup` receives the engine. A trainer that uses it for the operations below runs unchanged on one device
    or on several, in float32 or in mixed precision.

    Attributes
    ----------
    device : torch.device
        Device of the modules and the batches.
    total_steps : int
        Optimization steps of the whole run; for learning rate schedules.
    is_rank_zero : bool
        Whether this is the process that writes files. Always True in a run of one process.
    grad_accumulation_steps : int
        Number of parts in which `Trainer.step` gets a batch. A trainer whose loss cannot be computed in parts, since
        it compares the examples of a batch or is a ratio of sums over them, should refuse more than 1 in
        `Trainer.setup`, unless `supports_grad_accumulation` is False anyway.
    may_read : bool
        Whether a step may read values back from the device, for example to check the labels of its batch: on the CPU
        always, and on other devices in the first steps only, since it waits for the device, and cannot be captured as a
        CUDA graph.

    See Also
    --------
    Trainer.setup : Where a trainer prepares its modules and optimizers.
    """

    device: torch.device
    total_steps: int
    is_rank_zero: bool
    grad_accumulation_steps: int
    may_read: bool

    def prepare(self, module: M, *optimizers: *Os) -> tuple[M, *Os]:
        """Move a module to the device and wrap it and its optimizers for the run's precision and processes.

        Call it once for each module that is trained, in `Trainer.setup`, and call the returned module in
        `Trainer.step`.

        Parameters
        ----------
        module : torch.nn.Module
            The module to train.
        *optimizers : torch.optim.Optimizer
            The optimizers of its parameters.

        Returns
        -------
        tuple of (torch.nn.Module, *torch.optim.Optimizer)
            The module and the optimizers to use from now on, in the order given.
        """

    def optimizer(self, module: M, config: OptimizerConfig) -> tuple[M, Optimizer, LRScheduler]:
        """Make the optimizer and the schedule that settings name, and prepare them and the module, as `prepare` does.

        A trainer of several networks calls it once for each of them, with a `OptimizerConfig` of its own if need be.
        Advance the schedule in `Trainer.after_step`.

        Parameters
        ----------
        module : torch.nn.Module
            The module to train.
        config : OptimizerConfig
            The settings: those of the trainer, if its ``Config`` derives from `OptimizerConfig`.

        Returns
        -------
        tuple of (torch.nn.Module, torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler)
            The module and the optimizer to use from now on, and the schedule.

        Raises
        ------
        UnknownName
            If no optimizer or schedule has the name.
        BadSetting
            If one does not have an option, or a pattern matches no parameter.
        """

    def backward(self, loss: Tensor, inputs: Iterable[nn.Parameter] | None = None) -> None:
        """Compute gradients as ``loss.backward()`` does, with loss scaling where the precision needs it.

        Parameters
        ----------
        loss : torch.Tensor
            The loss, shape ``()``.
        inputs : iterable of torch.nn.Parameter, optional
            Parameters to accumulate gradients into. By default all leaves of the graph.
        """

    def clip(self, module: nn.Module, max_norm: float) -> Tensor:
        """Clip the gradients of a module to a maximum norm.

        Parameters
        ----------
        module : torch.nn.Module
            A module returned by `prepare`.
        max_norm : float
            Maximum of the L2 norm of all gradients together.

        Returns
        -------
        torch.Tensor
            The norm before clipping, shape ``()``; 0 where `updating` is False, since the gradients are not complete
            then.
        """

    def unwrap(self, module: M) -> M:
        """Return the original module of a module that `prepare` returned.

        Parameters
        ----------
        module : torch.nn.Module
            A module returned by `prepare`.

        Returns
        -------
        torch.nn.Module
            The module as it was passed to `prepare`.
        """

    @property
    def updating(self) -> bool:
        """Whether this call of `Trainer.step` ends with an update of the parameters.

        With ``run.grad_accumulation_steps=N`` a batch is passed to `Trainer.step` in N parts, and only the last part
        updates the parameters. `Trainer.after_step` is called only where this is True.
        """

    def normalizer(self, batch: Batch, count: Callable[[Batch], Tensor]) -> Tensor:
        """Return what to divide a sum over the batch by, so that the result is a mean over what is counted.

        The mean of a batch is that of all its parts in all processes (``run.grad_accumulation_steps``,
        ``--processes``). If the parts have different numbers of pixels, tokens or other units that a loss is averaged
        over, the mean of their means is something else: some units would count more than others. Compute the sum of the
        loss over the units in `step`, and divide it by this number. Not needed if every example counts the same.

        Parameters
        ----------
        batch : Batch
            The argument of `Trainer.step`.
        count : callable
            ``count(batch)`` returns the number of units in a batch, or the sum of their weights: a tensor of shape
            ``()``, at least 0. It is called with the whole batch of this process, of which `step` gets a part, and
            should depend on nothing else, in particular on no random numbers.

        Returns
        -------
        torch.Tensor
            The count of the whole batch, divided by the number of parts, shape ``()``; 1 if there is nothing to count.
            Without accumulation and in one process it is ``count(batch)``.

        Examples
        --------
        >>> def step(self, batch: zoo.Batch) -> zoo.Metrics:
        ...     score = self.network(batch["image"])
        ...     total = F.cross_entropy(score, batch["mask"], ignore_index=255, reduction="sum")
        ...     loss = total / self.engine.normalizer(batch, lambda batch: (batch["mask"] != 255).sum())
        """

    def gather(self, tensor: Tensor) -> Tensor:
        """Concatenate the tensors of all processes along the first dimension.

        As with `sum`, a loss that every process computes from the result has the gradients of the whole batch.

        Parameters
        ----------
        tensor : torch.Tensor
            Tensor of this process, shape ``(N, ...)``; the same shape in every process.

        Returns
        -------
        torch.Tensor
            Shape ``(processes * N, ...)``, in the order of the ranks.
        """

    def sum(self, tensor: Tensor) -> Tensor:
        """Add up the tensors of all processes.

        In `Trainer.step` the sum has a gradient: a loss that every process computes from the same sums, such as a
        ratio of them, has the gradients of the whole batch.

        In `Trainer.evaluate` it adds up what the processes computed from their parts of the examples. If every process
        evaluates all examples (`Trainer.distributed_evaluation` is False), it returns the tensor unchanged.

        Parameters
        ----------
        tensor : torch.Tensor
            Tensor of this process; the same shape in every process.

        Returns
        -------
        torch.Tensor
            The sum, of the same shape.
        """


class Trainer(ABC):
    """Base class of trainers: how a model is trained on batches, without the training loop.

    A subclass creates optimizers in `setup` and performs one optimization step in `step`. The framework moves data to
    the device, seeds, logs, evaluates, saves and resumes. A subclass defines a class ``Config`` whose fields are made
    with `setting`, as for a `Model`.

    Parameters
    ----------
    config : Trainer.Config
        The settings, validated.

    Attributes
    ----------
    config : Trainer.Config
        The settings.
    protocol : str
        How `evaluate` measures, in one or two sentences. Published together with the metrics.
    supports_grad_accumulation : bool
        Whether `step` may be called with parts of a batch (``run.grad_accumulation_steps``). Set it to True if
        schedules and moving averages are updated in `after_step`, and if `step` uses `Engine.normalizer` where its loss
        is not a mean over examples.
    distributed_evaluation : bool
        Whether `evaluate` adds up its results with `Engine.sum`. If True, each of several processes evaluates its own
        part of the examples; if False, every process evaluates all of them.
    averaged_modules : tuple of str
        Names of the modules of the model that ``run.ema_decay`` averages; empty for the whole model, the default. A
        GAN whose generator alone is of interest has ``("generator",)``: the average of another network would cost
        time in every step, and the published weights would have it in place of that network's own.

    See Also
    --------
    Model : Base class of models.
    Engine : What `setup` receives.

    Notes
    -----
    The attributes of a trainer are its state. Checkpoints contain modules, optimizers, schedules (anything with
    ``state_dict`` and ``load_state_dict``), tensors, numbers, strings, and lists, tuples and dicts of all of them.
    For modules they also contain which parameters require no gradient and which modules are in eval mode.

    - Create objects with a ``state_dict`` in `setup`; numbers and tensors may be added later.
    - ``config``, ``engine`` and attributes with a leading underscore are not part of the state; `setup` must be able
      to create them again. Attributes of the model are not saved either: use its buffers.
    - The tensors of a module, and their shapes, stay as they are after `setup`. A buffer that gets its value or its
      shape in training is registered with ``register_buffer(name, None)`` in the constructor.
    - An attribute that cannot be saved stops the run before the first step or after it.
    - On CUDA the operations of `step` are recorded as a CUDA graph and replayed (``run.cuda_graph``), unless `step`
      does work of the host, which a graph cannot repeat: it reads values back from the device, changes numbers, lists
      or tensors on the CPU, or reads a number that is another one in every step. Do such work in `after_step`, and keep
      numbers that change in tensors on the device. Otherwise `step` is called as it is, and the run says why.
    - In a run of several processes only the state of rank 0 is saved, so it should be the same in all of them. Pass
      values that depend on a process's part of the batch through `Engine.sum` or `Engine.gather`.

    Examples
    --------
    >>> class AutoencoderTrainer(zoo.Trainer):
    ...     class Config:
    ...         learning_rate: float = zoo.setting(1e-3, "learning rate of Adam", gt=0)
    ...
    ...     config: Config
    ...
    ...     def setup(self, model: zoo.Model, engine: zoo.Engine) -> None:
    ...         adam = torch.optim.Adam(model.parameters(), lr=self.config.learning_rate)
    ...         self.engine = engine
    ...         self.model, self.optimizer = engine.prepare(model, adam)
    ...
    ...     def step(self, batch: zoo.Batch) -> zoo.Metrics:
    ...         loss = F.mse_loss(self.model(batch["image"]), batch["image"])
    ...         self.optimizer.zero_grad()
    ...         self.engine.backward(loss)
    ...         self.optimizer.step()
    ...         return {"loss": loss.detach()}
    """

    Config: ClassVar[type[Any]] = NoSettings
    config: Any
    protocol: ClassVar[str] = ""
    supports_grad_accumulation: ClassVar[bool] = False
    distributed_evaluation: ClassVar[bool] = False
    averaged_modules: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls, **arguments: Any) -> None:
        super().__init_subclass__(**arguments)
        prepare_config_class(cls)

    def __init__(self, config: Any) -> None:
        self.config = config

    @abstractmethod
    def setup(self, model: Any, engine: Engine) -> None:
        """Create optimizers and schedules, and pass the modules to `Engine.prepare`.

        Called once, before the first step and before a checkpoint is restored.

        Parameters
        ----------
        model : Model
            The model to train, on the device.
        engine : Engine
            The device, the precision and the processes of the run.
        """

    @abstractmethod
    def step(self, batch: Batch) -> Metrics:
        """Perform one optimization step.

        PyTorch's random number generators are seeded before each call, from the run's seed, the step and the rank.
        Random draws are therefore reproducible, also after a resume.

        Parameters
        ----------
        batch : Batch
            A batch of training examples, on the device; empty if the recipe has no dataset.

        Returns
        -------
        Metrics
            Metrics to log by name: 0-d tensors, detached.

        See Also
        --------
        after_step : Where the work of the host belongs.
        """

    def after_step(self) -> None:  # noqa: B027  # nothing to do is the right default
        """Do the work of the host that belongs to a step: advance schedules, counters and moving averages.

        Called once after every update of the parameters, also if the step was replayed as a CUDA graph, and not after
        the parts of a batch that only add to gradients.
        """

    def order(self, examples: Examples, generator: torch.Generator) -> Tensor:
        """Return the order of the training examples in one epoch.

        By default a random permutation. Override it for batches with a structure, such as groups of one label or
        balanced classes. Not called for endless examples.

        Parameters
        ----------
        examples : Examples
            The training examples.
        generator : torch.Generator
            The only source of random numbers to use; seeded for each epoch.

        Returns
        -------
        torch.Tensor
            Indices of examples, shape ``(L,)``, int64. L should be the same in every epoch.
        """
        return torch.randperm(len(examples), generator=generator)

    def evaluate(self, batches: Iterable[Batch], train_batches: Iterable[Batch]) -> Mapping[str, float]:
        """Compute metrics of the model.

        Called every ``run.evaluate_every`` steps with the validation examples, and after the last step with the test
        examples. Gradients are not disabled: decorate it with ``torch.no_grad()``. Afterwards the framework restores
        the mode of every module, buffers, gradients, hooks, random states and settings of torch, so that training
        continues as if nothing had been measured. Weights, optimizers and attributes of the trainer must be left as
        they were: a run ends with an error if one of them is another afterwards. Attributes with a leading underscore,
        such as caches, are not compared; do not let `step` depend on what an evaluation writes into them.

        Parameters
        ----------
        batches : iterable of Batch
            The examples to evaluate on, in their stored order, on the device. May be iterated more than once.
        train_batches : iterable of Batch
            The training examples in their stored order, for metrics that compare with them. They are loaded only if
            they are iterated.

        Returns
        -------
        mapping of str to float
            Metrics by name; empty if there is nothing to measure. A metric with a slash in its name, such as
            ``mse/3``, is a detail: it is recorded, but not printed.
        """
        return {}

    def evaluation_metrics(self) -> Iterable[str] | None:
        """Return the names of the metrics that `evaluate` returns, if they are known beforehand.

        A ``run.monitor`` that is not one of them is refused before the first step. By default None: zoo then finds out
        by evaluating two examples, and all examples if the metric is not among theirs. Override it if even that takes
        long, for example because an evaluation trains a classifier.

        Returns
        -------
        iterable of str or None
            Names of all metrics with the settings of this trainer. None if they are not known.
        """
        return None

    def preview(self, batch: Batch) -> Shown | Mapping[str, Shown | None] | None:
        """Return something that shows the state of the training: text, a table, audio, images, clips or an array.

        Called every ``run.preview_every`` steps with the same batch of validation examples and the same seed. If it
        raises an error or returns anything else, a warning is shown and the run makes no more previews. It must leave
        the trainer as it was, like `evaluate`.

        The type, or the shape of a tensor, says what a value is, and which files in ``previews/`` it is stored as:

        - ``str``: a text (``.txt``);
        - `Table`: a table (``.csv``);
        - `Audio`: sound (``.wav``);
        - a tensor ``(N, C, H, W)`` with 1 or 3 channels: images in [0, 1] (``.png``);
        - a tensor ``(N, T, C, H, W)`` with 1 or 3 channels: clips in [0, 1] (``.png`` with a row for each clip, and an
          animated ``.gif``);
        - a tensor ``(H, W)`` of dtype uint8: classes (``.png`` with a palette);
        - any other tensor, if it is not empty: an array (``.npy``, and a ``.png``: a chart if it has one
          dimension, else gray).

        Parameters
        ----------
        batch : Batch
            The first batch of validation examples, on the device.

        Returns
        -------
        str, Table, Audio, torch.Tensor, numpy.ndarray, mapping of str to one of them, or None
            One value, or several by name, of any kinds. None for no preview.

        See Also
        --------
        Model.predict : Returns the same kinds of values.

        Examples
        --------
        >>> def preview(self, batch):
        ...     return {
        ...         "text": self.generate("ROMEO:", length=200),
        ...         "errors": zoo.Table({"token": self.tokens, "loss": self.losses(batch)}),
        ...         "attention": self.attention(batch)[0],
        ...     }
        """
        return None

    def augmented(self, batch: Batch) -> Batch:
        """Return a batch as `step` trains on it, after random transforms of the trainer's own, for ``zoo data show``.

        It is called without `setup`.

        Parameters
        ----------
        batch : Batch
            A batch of training examples.

        Returns
        -------
        Batch
            The batch, transformed. By default as it is.
        """
        return batch

    def finalize(self) -> None:  # noqa: B027  # nothing to do is the right default
        """Write the weights to publish into the model, such as those of a moving average.

        Called once, after the last step or when the run is stopped, before the test metrics are computed.
        """
