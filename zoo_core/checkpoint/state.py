"""What a run's model and trainer hold, as tensors and JSON, and back: nothing is left out in silence."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NoReturn, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from zoo_core.checkpoint.serialize import Packed, kind_of, odd_one, pack, unpack
from zoo_core.engine.fsdp import is_sharded, sharded_like
from zoo_core.errors import BadFile, ZooError

_NOT_STATE = ("config", "engine")
_MODES = "model.modes"  # among what is captured; no attribute has a dot in its name
_OBJECT = "$object"  # marks, in JSON, the state of an object, which a mapping may look like


@runtime_checkable
class Stateful(Protocol):
    """PyTorch's own protocol: modules, optimizers, schedulers, scalers."""

    def state_dict(self) -> dict[str, Any]: ...
    def load_state_dict(self, state_dict: dict[str, Any], /) -> Any: ...


class TrainerState:
    """The state of a model and its trainer, found by looking at the trainer's attributes.

    Kept are objects with ``state_dict``, tensors, and plain values (also in lists, tuples and mappings); of modules
    also which parameters require no gradient, and which modules are in eval mode. A module inside the model is kept
    with the model. Names with a leading underscore, ``config`` and ``engine`` are not state.

    Raises:
        ZooError: at once, if the trainer holds something that could not be kept.
    """

    def __init__(self, model: nn.Module, trainer: object, unwrap: Callable[[Any], Any] = lambda module: module) -> None:
        self.model, self.trainer, self.unwrap = model, trainer, unwrap
        self._made: set[str] | None = None
        self._made = {name for name in self.names() if isinstance(self._object(name), Stateful)}
        self.check()

    def check(self) -> None:
        """Raises ZooError for what a checkpoint could not keep, or not give back. Copies nothing."""
        for name in self.names():
            self._state(name)

    def names(self) -> list[str]:
        """``model``, then each attribute that is kept."""
        inside = {id(module) for module in self.model.modules()}
        kept = ["model"]
        for name, value in vars(self.trainer).items():
            if name.startswith("_") or name in _NOT_STATE:
                continue
            if isinstance(value, nn.Module) and id(self.unwrap(value)) in inside:
                continue
            self._refuse_what_cannot_come_back(name, value)
            kept.append(name)
        return kept

    def capture(self) -> dict[str, Packed]:
        """Each kept thing by name, as tensors and JSON. The tensors are the live ones."""
        captured = {name: self._packed(name) for name in self.names()}
        return {**captured, _MODES: pack({name: _modes(module) for name, module in self._modules(captured)})}

    def restore(self, captured: Mapping[str, Packed]) -> None:
        """Put back what :meth:`capture` gave.

        Raises:
            BadFile: if it is not the state of this trainer.
        """
        names, given = self.names(), {name: packed for name, packed in captured.items() if name != _MODES}
        begun = {name for name in given if name not in names and not _is_object(given[name][1])}
        if set(names) | begun != set(given):
            raise BadFile(
                f"the checkpoint holds {', '.join(sorted(given))}, "
                f"but {type(self.trainer).__name__} holds {', '.join(sorted(names))}.",
                "Resume with the recipe and the plugin version it was made with.",
            )
        device = next((one.device for one in self.model.parameters()), torch.device("cpu"))
        filled: set[int] = set()
        for name, (tensors, structure) in given.items():
            inner = structure[_OBJECT] if _is_object(structure) else structure
            try:
                self._put_back(name, unpack(tensors, inner, device), filled)
            except (RuntimeError, ValueError, KeyError) as error:  # what load_state_dict raises if it does not fit
                raise BadFile(
                    f"the checkpoint's {name} does not fit: {error}",
                    "Resume with the recipe and the plugin version it was made with.",
                ) from error
        if _MODES in captured:
            modes = unpack(*captured[_MODES])
            for name, module in self._modules(modes):
                _set_modes(module, modes[name])

    def _put_back(self, name: str, value: Any, filled: set[int]) -> None:
        target = self._object(name)
        if isinstance(target, nn.Module):
            now = target.state_dict()
            target.load_state_dict({key: sharded_like(now.get(key, one), one) for key, one in value.items()})
        elif isinstance(target, Stateful) and isinstance(value, dict):
            target.load_state_dict(value)
            optimizer = getattr(target, "optimizer", target)  # Accelerate's wrapper has it inside
            if isinstance(optimizer, torch.optim.Optimizer):
                _lay_moments_as_weights(optimizer)
        else:
            setattr(self.trainer, name, _returned(target, value, filled))

    def _refuse_what_cannot_come_back(self, name: str, value: Any) -> None:
        holder = type(self.trainer).__name__
        if name == "model":
            raise ZooError(
                f"{holder} holds self.model, a {type(value).__name__} that is not the run's model or in it.",
                "Call it by another name: a checkpoint has the run's model by this one.",
            )
        if isinstance(value, Stateful):
            if self._made is not None and name not in self._made:
                raise ZooError(
                    f"{holder} was given self.{name}, a {type(value).__name__}, after setup: who goes on from a "
                    "checkpoint could not make it again.",
                    "Make it in setup().",
                )
        elif found := odd_one(value, f"self.{name}"):
            self._refuse(name, *found)

    def _refuse(self, name: str, place: str, odd: Any) -> NoReturn:
        hint = (
            "Draw from torch's own generator: zoo seeds it for every step."
            if isinstance(odd, torch.Generator)
            else "Hold a number, a tensor or, as an attribute, something with state_dict(); "
            f"or call it self._{name} if it can be made again."
        )
        kind = type(odd).__name__
        raise ZooError(f"{type(self.trainer).__name__} holds {place}, a {kind}, which a checkpoint cannot keep.", hint)

    def _object(self, name: str) -> Any:
        if name == "model":
            return self.model
        value = getattr(self.trainer, name, None)
        return self.unwrap(value) if isinstance(value, nn.Module) else value

    def _state(self, name: str) -> Any:
        target = self._object(name)
        if not isinstance(target, Stateful):
            return target
        state = target.state_dict()
        if found := odd_one(state, f"self.{name}.state_dict()"):
            self._refuse(name, *found)
        return state

    def _packed(self, name: str) -> Packed:
        tensors, structure = pack(self._state(name))
        return tensors, {_OBJECT: structure} if isinstance(self._object(name), Stateful) else structure

    def _modules(self, names: Mapping[str, Any]) -> Iterator[tuple[str, nn.Module]]:
        for name in names:
            module = self._object(name)
            if isinstance(module, nn.Module):
                yield name, module


def _returned(target: Any, value: Any, filled: set[int]) -> Any:
    """``value`` in place of ``target``, and where the two are alike, in it: an optimizer, or another attribute, may
    know it. ``filled`` are the tensors that have been given a value; they may have been one as the trainer was set up,
    and no longer when it was saved."""
    if isinstance(target, Tensor):
        alike = isinstance(value, Tensor) and (value.shape, value.dtype) == (target.shape, target.dtype)
        if not alike:
            if target.requires_grad:
                raise ValueError(f"it is {kind_of(value)}, but should be {kind_of(target)}, which is learnt.")
            return value
        if id(target) in filled and not torch.equal(target.detach(), value.to(target.device)):
            return value
        filled.add(id(target))
        with torch.no_grad():
            target.copy_(value)
        return target
    if isinstance(target, dict) and isinstance(value, dict):
        back = {key: _returned(target.get(key), one, filled) for key, one in value.items()}
        target.clear()
        target.update(back)
        return target
    if any(isinstance(target, kind) and isinstance(value, kind) for kind in (list, tuple)):
        there = [*target[: len(value)], *[None] * (len(value) - len(target))]
        items = [_returned(one, new, filled) for one, new in zip(there, value, strict=True)]
        if isinstance(target, list):
            target[:] = items
            return target
        return target._make(items) if hasattr(target, "_make") else tuple(items)
    return value


def _modes(module: nn.Module) -> dict[str, list[str]]:
    return {
        "frozen": [name for name, parameter in module.named_parameters() if not parameter.requires_grad],
        "eval": [name for name, inner in module.named_modules() if not inner.training],
    }


def _set_modes(module: nn.Module, modes: Mapping[str, list[str]]) -> None:
    frozen, evaluating = set(modes["frozen"]), set(modes["eval"])
    for name, parameter in module.named_parameters():
        if parameter.requires_grad is (name in frozen):
            parameter.requires_grad_(name not in frozen)
    for name, inner in module.named_modules():
        inner.training = name not in evaluating


def _is_object(structure: Any) -> bool:
    return isinstance(structure, dict) and _OBJECT in structure


def _lay_moments_as_weights(optimizer: torch.optim.Optimizer) -> None:
    """A checkpoint's tensors are contiguous, and a fused step, which goes by addresses, would take a weight in
    channels-last memory together with another one's moments."""
    for parameter, state in optimizer.state.items():
        for name, value in state.items():
            if isinstance(value, Tensor) and value.shape == parameter.shape:
                if is_sharded(parameter):
                    state[name] = sharded_like(parameter, value)
                else:
                    state[name] = torch.empty_like(parameter, dtype=value.dtype).copy_(value)
