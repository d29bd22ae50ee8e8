"""The exponential moving average (EMA) of a model's weights, for every trainer (``run.ema_decay``)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from zoo_core.config.run_settings import RunSettings
from zoo_core.engine.held import held_optimizers
from zoo_core.errors import BadSetting
from zoo_core.optim.averages import averages_weights
from zoo_core.runs.run import Run
from zoo_core.training.freeze import refuse_lazy

_WARM_UP = 9  # updates after which the decay is at most a half

_Pairs = list[tuple[list[Tensor], list[Tensor]]]
"""Lists of tensors of one type, and of those that belong to them: one operation on a list is faster than many."""


def average_of(run: Run) -> WeightAverage | None:
    """The average that ``run.ema_decay`` asks for, of the modules that the trainer names in ``averaged_modules``.

    Raises:
        BadSetting: if the model has no module of such a name, or if an optimizer averages the weights as well.
    """
    if not run.settings.ema_decay:
        return None
    _refuse_two_averages(run)
    return WeightAverage(run.model, run.settings, _modules_to_average(run))


def note_without_updates(settings: RunSettings, total_steps: int) -> str:
    """A line that says so if a run ends before the first update of the average; else ""."""
    if not settings.ema_decay or total_steps >= settings.ema_every or not total_steps:
        return ""
    return (
        f"run.ema_every is {settings.ema_every:,}, but the run has {total_steps:,} steps: nothing is averaged, and the "
        "weights themselves are evaluated and published."
    )


def _modules_to_average(run: Run) -> tuple[str, ...]:
    """The names in ``averaged_modules`` of the trainer, checked."""
    names: Any = run.trainer.averaged_modules  # as an author has written it
    given = f"run.ema_decay: averaged_modules of the trainer '{run.recipe.component('trainer')}'"
    model = f"the model '{run.recipe.component('model')}'"
    known = [name for name, _ in run.model.named_modules(remove_duplicate=False) if name]
    hint = f"The modules of {model} are {', '.join(known[:9] + ['…'] * (len(known) > 9))}." if known else None
    if not (isinstance(names, tuple) and all(isinstance(name, str) for name in names)):
        raise BadSetting(f"{given} is {names!r}, but should be a tuple of names, such as {tuple(known[:1])!r}.", hint)
    unknown = next((name for name in names if name not in known), None)
    if unknown is not None:
        raise BadSetting(f"{given} names the module {unknown!r}, which {model} does not have.", hint)
    return names


def _refuse_two_averages(run: Run) -> None:
    """An average of the weights that such an optimizer trains would be neither its own average nor one of that."""
    optimizers = held_optimizers(vars(run.trainer).values())
    averaging = next((type(one).__name__ for one in optimizers if averages_weights(one)), None)
    if averaging:
        raise BadSetting(
            f"run.ema_decay is {run.settings.ema_decay}, but the optimizer {averaging} averages the weights itself.",
            "Write `run.ema_decay=0`, or choose another optimizer.",
        )


class WeightAverage:
    """Averages the parameters of a model while it is trained, and puts the average in their place to be measured.

    ``average = d * average + (1 - d) * weights`` with the decay ``d``, which is at most ``n / (9 + n)`` at the n-th
    update if it is warmed up: a full-length average after a few steps would mostly be the initial weights. The first
    update copies the weights. Buffers are averaged or copied; those that are not floating-point numbers are copied.
    Buffers that weights files do not contain are left as they are.

    The average of weights of less than 32 bits is of float32: ``(1 - d) * weights`` would often be rounded to nothing.

    Args:
        model: the model, on its device and in its memory format.
        settings: ``ema_decay`` and the settings beside it.
        modules: names of the modules of the model that are averaged; by default all.
    """

    def __init__(self, model: nn.Module, settings: RunSettings, modules: Collection[str] = ()) -> None:
        self._decay, self._every, self._warms_up = settings.ema_decay, settings.ema_every, settings.ema_warmup
        self._model, self._modules, self._buffers = model, modules or ("",), settings.ema_buffers
        self._updates = 0
        self._average: dict[str, Tensor] = {}
        self._find()

    def _find(self) -> None:
        """Find the tensors of the model; the average of one that is new, or has another shape, begins with its value.

        The tensors themselves are kept, and not views of their values: ``parameter.data = …`` gives one other values.
        """
        parts = [self._model.get_submodule(name) for name in self._modules]
        chosen = {id(one) for part in parts for one in (*part.parameters(), *part.buffers())}
        self._places = [*_places(self._model)]
        named: dict[str, Tensor] = {}
        averaged = set()
        for place in self._places:
            one = place.tensor
            if one is None or id(one) not in chosen:
                continue
            chosen.remove(id(one))  # it may have several names
            named[place.name] = one
            if (one.is_floating_point() or one.is_complex()) and (place.is_parameter or self._buffers):
                averaged.add(place.name)
        refuse_lazy(named, named, "run.ema_decay averages")
        begun = {name: one for name, one in self._average.items() if name in named and one.shape == named[name].shape}
        self._weights = named
        self._average = {name: begun[name] if name in begun else _copy_of(one) for name, one in named.items()}
        self._averaged, self._copied = self._pairs(averaged), self._pairs(named.keys() - averaged)

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Update the average after ``step`` steps, if it is updated after that step."""
        if step % self._every:
            return
        if not self._updates or self._is_outdated():  # a model may create modules in its first step
            self._find()
        self._updates += 1
        if self._updates == 1:
            self._copy(self._average, self._weights)
            return
        warm = self._updates / (_WARM_UP + self._updates) if self._warms_up else 1.0
        average = get_ema_multi_avg_fn(min(self._decay, warm))  # type: ignore[no-untyped-call]
        for averages, weights in self._averaged:
            same_type = averages[0].dtype is weights[0].dtype
            average(averages, weights if same_type else [one.to(averages[0].dtype) for one in weights], None)
        for averages, weights in self._copied:
            torch._foreach_copy_(averages, weights)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Context in which the model has the averaged weights. Afterwards it has its own, at the same addresses."""
        if not self._updates:
            yield
            return
        found = dict(vars(self))
        if self._is_outdated():
            self._find()
        weights = self._weights
        kept = {name: one.detach().clone() for name, one in weights.items()}
        self.apply()
        try:
            yield
        finally:
            self._copy(weights, kept)
            vars(self).update(found)  # the average of a new tensor begins with an update, not with an evaluation

    def apply(self) -> None:
        """Give the model the averaged weights, if there is an average yet."""
        if self._updates:
            if self._is_outdated():
                self._find()
            self._copy(self._weights, self._average)

    def state_dict(self) -> dict[str, Any]:
        """The average, by the names of the model's tensors, and the number of its updates."""
        return {"updates": self._updates, "average": dict(self._average)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what :meth:`state_dict` returned.

        Raises:
            KeyError: if it is the average of another model.
        """
        average: Mapping[str, Tensor] = state["average"]
        for name, one in self._average.items():
            if one.numel() and (name not in average or average[name].shape != one.shape):
                raise KeyError(f"the average of the model's {name} is missing or has another shape")
        fitting = {k: one for k, one in self._average.items() if k in average and average[k].shape == one.shape}
        self._copy(fitting, average)
        # Of buffers that had no value when the model was built. The model gets them with the checkpoint, after which
        # all tensors are found again.
        device = next((one.device for one in self._average.values()), None)
        self._average |= {name: one.to(device) for name, one in average.items() if name not in fitting}
        self._updates = int(state["updates"])

    def _is_outdated(self) -> bool:
        """Whether a tensor has been assigned to the model since: ``self.mean = …`` in a forward pass, for example."""
        return any(place.owner.get(place.key) is not place.tensor for place in self._places)

    def _pairs(self, names: Collection[str]) -> _Pairs:
        """The average and the weights of ``names``, those of a type together."""
        pairs: dict[torch.dtype, tuple[list[Tensor], list[Tensor]]] = defaultdict(lambda: ([], []))
        for name, weights in self._weights.items():
            if name in names:
                of_type = pairs[weights.dtype]
                of_type[0].append(self._average[name])
                of_type[1].append(weights)
        return list(pairs.values())

    @staticmethod
    @torch.no_grad()
    def _copy(into: Mapping[str, Tensor], values: Mapping[str, Tensor]) -> None:
        if into:
            torch._foreach_copy_(list(into.values()), [values[name] for name in into])


@dataclass(frozen=True)
class _Place:
    """Where a module has a tensor."""

    name: str
    owner: Mapping[str, Tensor | None]
    key: str
    tensor: Tensor | None
    is_parameter: bool


def _places(model: nn.Module) -> Iterator[_Place]:
    """All places of the parameters of a model, and of those of its buffers that weights files contain."""
    for path, module in model.named_modules():
        prefix = f"{path}." if path else ""
        for key, parameter in module._parameters.items():
            yield _Place(prefix + key, module._parameters, key, parameter, True)
        for key, buffer in module._buffers.items():
            if key not in module._non_persistent_buffers_set:
                yield _Place(prefix + key, module._buffers, key, buffer, False)


def _copy_of(tensor: Tensor) -> Tensor:
    """A copy, of float32 if the tensor is of fewer bits."""
    if tensor.is_floating_point() and tensor.dtype.itemsize < 4:
        return tensor.detach().float()
    return tensor.detach().to(torch.complex64) if tensor.dtype is torch.complex32 else tensor.detach().clone()
