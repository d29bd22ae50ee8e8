"""What an object holds, as tensors and JSON, and back: nothing is pickled, and nothing is left out in silence."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from zoo_core.errors import BadFile, ZooError
from zoo_core.sharding import divided_as, is_divided, whole

Packed = tuple[dict[str, Tensor], Any]
_PLAIN = (bool, int, float, str, type(None))
_NOT_STATE = ("config", "engine")


@runtime_checkable
class Stateful(Protocol):
    """PyTorch's own protocol: modules, optimizers, schedulers, scalers."""

    def state_dict(self) -> dict[str, Any]: ...
    def load_state_dict(self, state_dict: dict[str, Any], /) -> Any: ...


class Held:
    """The state of a model and its trainer, found by looking at the trainer's attributes.

    Kept are objects with ``state_dict``, tensors, and plain values (also in lists, tuples and mappings). A module
    inside the model is kept with the model. Names with a leading underscore, ``config`` and ``engine`` are not state.

    Raises:
        ZooError: at once, if the trainer holds something that could not be kept.
    """

    def __init__(self, model: nn.Module, trainer: object, unwrap: Callable[[Any], Any] = lambda module: module) -> None:
        self.model, self.trainer, self.unwrap = model, trainer, unwrap
        self.names()

    def names(self) -> list[str]:
        """``model``, then each attribute that is kept."""
        inside = {id(module) for module in self.model.modules()}
        kept = ["model"]
        for name, value in vars(self.trainer).items():
            if name.startswith("_") or name in _NOT_STATE:
                continue
            if isinstance(value, nn.Module) and id(self.unwrap(value)) in inside:
                continue
            if name == "model" or not _keepable(value):
                holder, held = type(self.trainer).__name__, type(value).__name__
                raise ZooError(
                    f"{holder} holds self.{name}, a {held}, which a checkpoint cannot keep.",
                    "Hold a number, a tensor or something with state_dict(), "
                    f"or call it self._{name} if it can be made again.",
                )
            kept.append(name)
        return kept

    def capture(self) -> dict[str, Packed]:
        """Each kept thing by name, as tensors and JSON. The tensors are the live ones."""
        return {name: pack(self._state(name)) for name in self.names()}

    def restore(self, captured: Mapping[str, Packed]) -> None:
        """Put back what :meth:`capture` gave.

        Raises:
            BadFile: if it is not the state of this trainer.
        """
        names = self.names()
        begun = self._begun_later({name: captured[name] for name in captured if name not in names})
        if set(names) | set(begun) != set(captured):
            raise BadFile(
                f"the checkpoint holds {', '.join(sorted(captured))}, "
                f"but {type(self.trainer).__name__} holds {', '.join(sorted(names))}.",
                "Resume with the recipe and the plugin version it was made with.",
            )
        for name in names:
            try:
                self._put_back(name, unpack(*captured[name]))
            except (RuntimeError, ValueError, KeyError) as error:  # what load_state_dict raises if it does not fit
                raise BadFile(
                    f"the checkpoint's {name} does not fit: {error}",
                    "Resume with the recipe and the plugin version it was made with.",
                ) from error
        for name, value in begun.items():
            setattr(self.trainer, name, value)

    def _begun_later(self, captured: Mapping[str, Packed]) -> dict[str, Any]:
        """Of what the trainer did not have as it was set up, what a step may have given it: numbers, lists, tensors.
        A mapping may have been the state of an object, which only the trainer can make."""
        values = {name: unpack(*packed) for name, packed in captured.items()}
        device = next((one.device for one in self.model.parameters()), torch.device("cpu"))
        return {
            name: value.to(device) if isinstance(value, Tensor) else value
            for name, value in values.items()
            if not isinstance(value, dict)
        }

    def _put_back(self, name: str, value: Any) -> None:
        target = self._object(name)
        if isinstance(target, nn.Module):
            now = target.state_dict()
            target.load_state_dict({key: divided_as(now.get(key, one), one) for key, one in value.items()})
        elif isinstance(target, Stateful):
            target.load_state_dict(value)
            optimizer = getattr(target, "optimizer", target)  # Accelerate's wrapper has it inside
            if isinstance(optimizer, torch.optim.Optimizer):
                _lay_moments_as_weights(optimizer)
        elif isinstance(target, Tensor):
            if not isinstance(value, Tensor) or value.shape != target.shape:  # copy_ would spread a smaller one over it
                raise ValueError(f"it is {kind_of(value)}, but should be {kind_of(target)}.")
            with torch.no_grad():
                target.copy_(value)
        elif isinstance(target, dict) and type(target) is not dict:  # a Counter, say
            target.clear()
            target.update(value)
        elif isinstance(target, tuple) and hasattr(target, "_make"):
            setattr(self.trainer, name, target._make(value))
        else:
            setattr(self.trainer, name, value)

    def _object(self, name: str) -> Any:
        return self.model if name == "model" else self._unwrapped(getattr(self.trainer, name))

    def _unwrapped(self, value: Any) -> Any:
        return self.unwrap(value) if isinstance(value, nn.Module) else value

    def _state(self, name: str) -> Any:
        target = self._object(name)
        return target.state_dict() if isinstance(target, Stateful) else target


def _lay_moments_as_weights(optimizer: torch.optim.Optimizer) -> None:
    """A checkpoint's tensors are contiguous, and a fused step, which goes by addresses, would take a weight in
    channels-last memory together with another one's moments."""
    for parameter, state in optimizer.state.items():
        for name, value in state.items():
            if isinstance(value, Tensor) and value.shape == parameter.shape:
                if is_divided(parameter):
                    state[name] = divided_as(parameter, value)
                else:
                    state[name] = torch.empty_like(parameter, dtype=value.dtype).copy_(value)


def pack(value: Any) -> Packed:
    """A nested value as named tensors and JSON that refers to them. A tensor that appears twice is stored once."""
    tensors: dict[str, Tensor] = {}
    seen: dict[tuple[Any, ...], str] = {}

    def plain(part: Any, path: str) -> Any:
        if isinstance(part, Tensor):
            part = whole(part.detach())
            same = (part.data_ptr(), part.shape, part.stride(), part.dtype)
            if same not in seen or not part.numel():  # all empty tensors have one address
                seen[same] = _unused(path or "value", tensors)
                tensors[seen[same]] = part
            return {"$tensor": seen[same]}
        if isinstance(part, float) and not math.isfinite(part):
            return {"$float": str(part)}
        if isinstance(part, _PLAIN):
            return part
        if isinstance(part, Mapping):
            if all(isinstance(key, str) and not key.startswith("$") for key in part):
                return {key: plain(element, f"{path}.{key}" if path else key) for key, element in part.items()}
            return {"$items": [[plain(key, ""), plain(element, f"{path}.{key}")] for key, element in part.items()]}
        if isinstance(part, (list, tuple)):
            elements = [plain(element, f"{path}.{index}") for index, element in enumerate(part)]
            return {"$tuple": elements} if isinstance(part, tuple) else elements
        raise ZooError(
            f"a checkpoint cannot keep '{path}', a {type(part).__name__}.",
            "Hold numbers, strings or tensors.",
        )

    structure = plain(value, "")
    return tensors, structure


def unpack(tensors: Mapping[str, Tensor], structure: Any) -> Any:
    """What :func:`pack` was given."""
    if isinstance(structure, list):
        return [unpack(tensors, element) for element in structure]
    if not isinstance(structure, dict):
        return structure
    if "$tensor" in structure:
        return tensors[structure["$tensor"]]
    if "$float" in structure:
        return float(structure["$float"])
    if "$tuple" in structure:
        return tuple(unpack(tensors, element) for element in structure["$tuple"])
    if "$items" in structure:
        return {unpack(tensors, key): unpack(tensors, element) for key, element in structure["$items"]}
    return {key: unpack(tensors, element) for key, element in structure.items()}


def kind_of(value: Any) -> str:
    """What ``value`` is, for a message: ``a tensor (3, 4)``, ``a str``."""
    return f"a tensor {tuple(value.shape)}" if isinstance(value, Tensor) else f"a {type(value).__name__}"


def _unused(name: str, taken: Mapping[str, Tensor]) -> str:
    """``{"a": {"b": …}, "a.b": …}`` has two tensors at the path "a.b"."""
    number, unused = 1, name
    while unused in taken:
        number += 1
        unused = f"{name}-{number}"
    return unused


def _keepable(value: Any) -> bool:
    return isinstance(value, Stateful) or _plain_or_tensors(value)


def _plain_or_tensors(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return all(map(_plain_or_tensors, value))
    if isinstance(value, dict):
        return all(isinstance(key, _PLAIN) and _plain_or_tensors(element) for key, element in value.items())
    return isinstance(value, (*_PLAIN, Tensor))
