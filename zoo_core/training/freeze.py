"""Parameters that a run does not train: ``run.freeze``."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from fnmatch import fnmatchcase
from functools import cache
from typing import Any, NoReturn

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.parameter import is_lazy
from torch.nn.utils.parametrizations import _SpectralNorm

from zoo_core.checkpoint.digest import checksums_by_name
from zoo_core.errors import BadSetting, RunFailed, one_line
from zoo_core.model import Model

_SHOWN = 3  # names in a message


class Frozen:
    """The parameters of a model that ``patterns`` freeze, and its normalization layers that keep their statistics.

    A pattern is compared with the names of parameters and of modules; a module stands for everything inside it. What is
    frozen requires no gradient. A normalization layer that is frozen stays in eval mode until :meth:`release`, whatever
    mode the model is set to.

    Raises:
        BadSetting: if a pattern freezes nothing, or if nothing is left to train.
    """

    def __init__(self, model: Model, patterns: Sequence[str] = ()) -> None:
        self._model = model
        self._names: list[str] = []
        self._buffers: list[str] = []
        self._before: Mapping[str, int] = {}
        self._layers: list[tuple[nn.Module, type[nn.Module]]] = []
        if patterns:
            self._freeze(model, patterns)

    def _freeze(self, model: Model, patterns: Sequence[str]) -> None:
        modules = {name: one for name, one in model.named_modules(remove_duplicate=False) if name}
        parameters = dict(model.named_parameters(remove_duplicate=False))
        inside: set[str] = set()
        for pattern in patterns:
            matched = _inside([name for name in modules if fnmatchcase(name, pattern)], [*modules, *parameters])
            matched |= {name for name in parameters if fnmatchcase(name, pattern)}
            if not any(name in parameters or _has_statistics(modules[name]) for name in matched):
                _refuse(pattern, model, modules, parameters)
            inside |= matched
        chosen = {id(one) for name, one in parameters.items() if name in inside}
        self._names = [name for name, one in parameters.items() if id(one) in chosen]  # with all names of a tied one
        refuse_lazy(parameters, self._names, "run.freeze freezes")
        if all(id(one) in chosen or not one.requires_grad for one in parameters.values()):
            raise BadSetting(
                f"run.freeze freezes every parameter of {type(model).__name__}, so that nothing is left to train.",
                "Freeze fewer; `zoo eval` evaluates weights without training.",
            )
        for name in self._names:
            parameters[name].requires_grad_(False)
        for name, layer in modules.items():
            own = [id(one) for one in layer.parameters(recurse=False)]
            if _has_statistics(layer) and (chosen.issuperset(own) if own else name in inside):
                self._buffers += [f"{name}.{inner}" for inner, _ in layer.named_buffers(recurse=False)]
                self._keep_in_eval(layer)

    def _keep_in_eval(self, layer: nn.Module) -> None:
        if not isinstance(layer, _StaysInEval):  # it may have two names
            self._layers.append((layer, type(layer)))
            layer.eval()
            layer.__class__ = _staying_in_eval(type(layer))

    def remember(self) -> None:
        """Note the values that the frozen parameters and statistics have, for :meth:`check`."""
        self._before = checksums_by_name(self._tensors())

    def check(self, trainer: str) -> None:
        """Check that ``trainer``, a description, has left what is frozen as it was.

        Raises:
            RunFailed: if it has changed a value, or made a parameter require gradients.
        """
        now = self._tensors()
        changed = [name for name in self._names if name in now and now[name].requires_grad]
        changed += [name for name, one in checksums_by_name(now).items() if one != self._before.get(name, one)]
        if changed:
            raise RunFailed(
                f"{trainer} trains or overwrites '{changed[0]}', which run.freeze freezes.",
                "Let it leave parameters that require no gradient as they are, or leave this one out of run.freeze.",
            )

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Context after which the frozen values are what they were before.

        A moving average that is assigned to the model has rounded the equal numbers that it was computed from.
        """
        copies = {name: one.detach().clone() for name, one in self._tensors().items()}
        yield
        with torch.no_grad():
            for name, one in self._tensors().items():
                if name in copies:
                    one.copy_(copies[name])

    def release(self) -> None:
        """Let the normalization layers follow the mode of the model again."""
        for layer, kind in self._layers:
            if type(layer) is _staying_in_eval(kind):  # not if sharding has changed its class once more
                layer.__class__ = kind
        self._layers.clear()

    def _tensors(self) -> dict[str, Tensor]:
        """The frozen parameters and statistics, looked up by name, since sharding puts others in their place."""
        found: dict[str, Tensor] = {}
        if self._names:
            found = dict(self._model.named_parameters(remove_duplicate=False))
        if self._buffers:
            found |= self._model.named_buffers(remove_duplicate=False)
        wanted = {name: found[name] for name in (*self._names, *self._buffers) if name in found}
        return {name: one for name, one in wanted.items() if not is_lazy(one)}


class _StaysInEval:
    """Mixed into the class of a module. Neither ``train()`` nor an assignment changes its mode."""

    @property
    def training(self) -> bool:
        return False

    @training.setter
    def training(self, mode: bool) -> None:
        pass


def _make_staying_in_eval(kind: type[nn.Module]) -> type[nn.Module]:
    """A subclass with the same name. A copy of a module, such as that of a moving average, is of this class as well."""
    names = {"__module__": kind.__module__, "__qualname__": kind.__qualname__, "__doc__": kind.__doc__}
    return type(kind.__name__, (_StaysInEval, kind), names)


_staying_in_eval: Callable[[Any], type[nn.Module]] = cache(_make_staying_in_eval)


def _inside(modules: Collection[str], names: Iterable[str]) -> set[str]:
    """Those of ``names`` that are one of ``modules`` or inside one."""
    outer = set(modules)
    found = set()
    for name in names:
        parts = name.split(".")
        if any(".".join(parts[:count]) in outer for count in range(1, len(parts) + 1)):
            found.add(name)
    return found


def _has_statistics(layer: nn.Module) -> bool:
    """Whether a forward pass in train mode changes buffers of its own, as that of batch normalization does."""
    if not any(one.is_floating_point() for one in layer.buffers(recurse=False)):
        return False
    # Other layers with buffers, but without parameters of their own, hold constants such as masks.
    return isinstance(layer, (_NormBase, _SpectralNorm)) or any(True for _ in layer.parameters(recurse=False))


def refuse_lazy(tensors: Mapping[str, Tensor], names: Iterable[str], what: str) -> None:
    """Raise BadSetting if one of ``names`` has no values before the first batch; ``what`` needs them."""
    lazy = next((name for name in names if is_lazy(tensors[name])), None)
    if lazy is not None:
        raise BadSetting(
            f"{what} '{lazy}', which has no shape before the model sees a batch.",
            "Give the layer its sizes, such as nn.Linear for nn.LazyLinear, or call it once in the constructor.",
        )


def _refuse(pattern: str, model: Model, modules: Collection[str], parameters: Collection[str]) -> NoReturn:
    """Raise BadSetting for a pattern that freezes nothing."""
    found = next((name for name in modules if fnmatchcase(name, pattern)), None)
    if found is not None:
        raise BadSetting(
            f"run.freeze: '{one_line(pattern)}' matches only modules without parameters, such as '{found}'.",
            "Leave it out, or name a layer that has parameters.",
        )
    near = difflib.get_close_matches(pattern.rstrip(".*"), [*modules, *parameters], n=_SHOWN, cutoff=0.6)
    known = [name for name in modules if "." not in name] or list(parameters)
    raise BadSetting(
        f"run.freeze: '{one_line(pattern)}' matches no parameter and no module of {type(model).__name__}.",
        f"Did you mean {' or '.join(map(repr, near))}?" if near else f"It has {', '.join(known[:_SHOWN])}.",
    )
