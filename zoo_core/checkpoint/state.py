"""The state of a run's model and trainer as tensors and JSON; state that cannot be stored is an error."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, NoReturn

import torch
from torch import Tensor, nn

from zoo_core.checkpoint.built_tensors import BuiltTensors
from zoo_core.checkpoint.objects import Stateful, map_objects, objects_in
from zoo_core.checkpoint.serialize import (
    ObjectState,
    Packed,
    describe_unserializable,
    find_unserializable,
    holds_objects,
    pack,
    same_layout,
    unpack,
)
from zoo_core.engine.fsdp import is_sharded, sharded_like
from zoo_core.errors import BadFile, ZooError, describe_type, one_line
from zoo_core.weights.unset_buffers import allocate_unset_buffers

_NOT_STATE = ("config", "engine")
_MODES = "model.modes"  # key of the modes of modules; the dot rules out an attribute of this name


class TrainerState:
    """The state of a model and its trainer, collected from the attributes of the trainer.

    State are objects with ``state_dict``, tensors, and plain values (all also in lists, tuples and dicts), and for
    modules also which parameters are frozen and which submodules are in eval mode. Modules inside the model are stored
    with the model. Attributes with a leading underscore, ``config`` and ``engine`` are not state.

    Raises:
        ZooError: if the trainer has an attribute that a checkpoint cannot store.
    """

    def __init__(self, model: nn.Module, trainer: object, unwrap: Callable[[Any], Any] = lambda module: module) -> None:
        self.model, self.trainer, self.unwrap = model, trainer, unwrap
        self._created_in_setup: dict[str, object] | None = None
        self._created_in_setup = {path: type(one) for path, one in self._objects()}
        self._groups = self._param_groups()
        self._built = BuiltTensors(self._modules())
        self._names_of_setup = set(self.names())
        self.check()

    def check(self) -> None:
        """Raise ZooError if the trainer has state that cannot be stored or restored. Copies nothing."""
        for name in self.names():
            self._state(name)
        self._built.check(self._modules())

    def names(self) -> list[str]:
        """``model``, followed by the attributes of the trainer that are state."""
        names = ["model"]
        for name, value in vars(self.trainer).items():
            if name.startswith("_") or name in _NOT_STATE:
                continue
            if self._is_in_model(value):
                continue
            self._check_attribute(name, value)
            names.append(name)
        return names

    def values(self) -> dict[str, Any]:
        """The state by name, as it is: state dicts of objects, tensors and plain values. Copies nothing."""
        return {name: self._state(name) for name in self.names()}

    def parameters(self) -> dict[tuple[str, ...], nn.Parameter]:
        """The parameters of the modules, by the name of the module and their name in it."""
        return {(path, inner): one for path, module in self._modules() for inner, one in module.named_parameters()}

    def capture(self) -> dict[str, Packed]:
        """The state by name, as tensors and JSON. The tensors are not copied."""
        self._built.check(self._modules())
        state = {name: pack(self._state(name)) for name in self.names()}
        for name, count in self._param_groups().items():
            if count != self._groups.get(name, count):
                raise ZooError(
                    f"{type(self.trainer).__name__} changed the number of parameter groups of self.{name} from "
                    f"{self._groups[name]} to {count} after setup(); a resumed run could not restore it.",
                    "Create all groups in setup(), with a learning rate of 0 for those that are not trained yet.",
                )
        return {**state, _MODES: pack({path: _module_modes(module) for path, module in self._modules()})}

    def restore(self, state: Mapping[str, Packed]) -> None:
        """Restore the state that :meth:`capture` returned.

        Raises:
            BadFile: if it does not fit this model and trainer.
        """
        stored = {name: packed for name, packed in state.items() if name != _MODES}
        for name in set(self.names()) - self._names_of_setup - set(stored):
            if not any(objects_in(name, getattr(self.trainer, name))):
                delattr(self.trainer, name)  # a later step has created it; back at an earlier one there is none
        names = self.names()
        created_later = {name for name in stored if name not in names and not holds_objects(stored[name][1])}
        if set(names) | created_later != set(stored):
            raise BadFile(
                f"the checkpoint holds {', '.join(sorted(stored))}, "
                f"but {type(self.trainer).__name__} holds {', '.join(sorted(names))}.",
                "Resume with the recipe and the plugin version that wrote the checkpoint.",
            )
        device = next((one.device for one in self.model.parameters()), torch.device("cpu"))
        filled: set[int] = set()
        for name, packed in stored.items():
            try:
                value = unpack(*packed, device)
                restored = self._restored(self._object(name), value, filled)
                if not isinstance(value, ObjectState):
                    setattr(self.trainer, name, restored)
            except (RuntimeError, ValueError, KeyError) as error:  # raised by load_state_dict
                raise BadFile(
                    f"the checkpoint's {name} does not fit: {one_line(str(error), 400)}",
                    "Resume with the recipe and the plugin version that wrote the checkpoint.",
                ) from error
        if _MODES in state:
            modes = unpack(*state[_MODES])
            for path, module in self._modules():
                if path in modes:
                    _restore_modes(module, modes[path])

    def _restored(self, target: Any, value: Any, filled: set[int]) -> Any:
        """``value`` as the new value of ``target``; restored in place where types and shapes are equal.

        Optimizers and other attributes may refer to the same tensors, lists and mappings. ``filled`` collects the ids
        of tensors that were restored, because attributes that share one tensor after setup may have had two when they
        were saved.
        """
        if isinstance(value, ObjectState):
            if not isinstance(target, Stateful):
                raise ValueError(f"it is the state of an object, but should be {describe_type(target)}.")
            _load(self._unwrapped(target), value.state)
            return target
        if value is None and self._is_in_model(target):  # it has been restored with the model
            return target
        if isinstance(target, Tensor):
            fits = isinstance(value, Tensor) and (value.shape, value.dtype) == (target.shape, target.dtype)
            if not fits:
                if target.requires_grad:
                    needed = describe_type(target)
                    raise ValueError(f"it is {describe_type(value)}, but should be {needed}, which requires gradients.")
                return value
            if id(target) in filled and not torch.equal(target.detach(), value.to(target.device)):
                return value
            filled.add(id(target))
            with torch.no_grad():
                if target.requires_grad or target.device != value.device or same_layout(target, value):
                    target.copy_(value)
                else:
                    target.set_(value)  # a step has assigned a tensor of another layout
            return target
        if isinstance(target, dict) and isinstance(value, dict):
            _refuse_left_out({key: one for key, one in target.items() if key not in value})
            restored = {key: self._restored(target.get(key), one, filled) for key, one in value.items()}
            target.clear()
            target.update(restored)
            return target
        if any(isinstance(target, kind) and isinstance(value, kind) for kind in (list, tuple)):
            _refuse_left_out({index: one for index, one in enumerate(target) if index >= len(value)})
            targets = [*target[: len(value)], *[None] * (len(value) - len(target))]
            items = [self._restored(one, new, filled) for one, new in zip(targets, value, strict=True)]
            if isinstance(target, list):
                target[:] = items
                return target
            return target._make(items) if hasattr(target, "_make") else tuple(items)
        return value

    def _check_attribute(self, name: str, value: Any) -> None:
        holder = type(self.trainer).__name__
        if name == "model":
            raise ZooError(
                f"{holder} holds self.model, {describe_type(value)} that is neither the run's model nor part of it.",
                "Rename the attribute: checkpoints store the run's model under this name.",
            )
        for path, one in objects_in(name, value):
            if self._created_in_setup is None or self._is_in_model(one):
                continue
            # The type of a module may change by right, as that of a lazy one; its state then fits or does not.
            if not isinstance(one, nn.Module) and type(one) is not self._created_in_setup.get(path, type(one)):
                raise ZooError(
                    f"{holder} replaced self.{path} by {describe_type(one)} after setup(); a resumed run could not "
                    "restore it.",
                    "Create both in setup() as attributes of their own, and choose between them in step().",
                )
            if path not in self._created_in_setup:
                raise ZooError(
                    f"{holder} created self.{path}, {describe_type(one)}, after setup(); "
                    "a resumed run could not restore it.",
                    "Create it in setup().",
                )
        if found := find_unserializable(map_objects(value, lambda one: None), f"self.{name}"):
            self._refuse(name, *found)

    def _refuse(self, name: str, where: str, value: Any) -> NoReturn:
        hint = (
            "Use torch's global generator: zoo seeds it for every step."
            if isinstance(value, torch.Generator)
            else "Use a number, a dense tensor or, as an attribute, an object with state_dict(); "
            f"or rename it to self._{name} if it need not be restored."
        )
        trainer = type(self.trainer).__name__
        raise ZooError(
            f"{trainer} holds {where}, {describe_unserializable(value)}, which a checkpoint cannot store.", hint
        )

    def _param_groups(self) -> dict[str, int]:
        """The number of parameter groups of each optimizer."""
        groups = {path: getattr(one, "param_groups", None) for path, one in self._objects()}
        return {path: len(found) for path, found in groups.items() if isinstance(found, list)}

    def _object(self, name: str) -> Any:
        if name == "model":
            return self.model
        return getattr(self.trainer, name, None)

    def _objects(self) -> Iterator[tuple[str, Any]]:
        """The objects that have a state, with their paths, such as ``model``, ``optimizer`` and ``schedules[0]``."""
        for name in self.names():
            for path, one in objects_in(name, self._object(name)):
                if path == "model" or not self._is_in_model(one):
                    yield path, self._unwrapped(one)

    def _unwrapped(self, one: Any) -> Any:
        return self.unwrap(one) if isinstance(one, nn.Module) else one

    def _is_in_model(self, one: Any) -> bool:
        if not isinstance(one, nn.Module):
            return False
        inner = self.unwrap(one)
        return any(inner is module for module in self.model.modules())

    def _state(self, name: str) -> Any:
        state = map_objects(self._object(name), partial(self._object_state, name == "model"))
        if found := find_unserializable(state, f"self.{name}"):
            self._refuse(name, *found)
        return state

    def _object_state(self, is_model: bool, one: Any) -> ObjectState | None:
        """The state of an object; None for a module that is stored with the model."""
        return ObjectState(self._unwrapped(one).state_dict()) if is_model or not self._is_in_model(one) else None

    def _modules(self) -> Iterator[tuple[str, nn.Module]]:
        return ((path, one) for path, one in self._objects() if isinstance(one, nn.Module))


def _load(target: Any, value: Any) -> None:
    """Load the state dict ``value`` into an object."""
    if isinstance(target, nn.Module):
        tensors = {key: (one.dtype, tuple(one.shape)) for key, one in value.items() if isinstance(one, Tensor)}
        allocate_unset_buffers(target, tensors)
        current = target.state_dict()
        target.load_state_dict({key: sharded_like(current.get(key, new), new) for key, new in value.items()})
        return
    target.load_state_dict(value)
    optimizer = getattr(target, "optimizer", target)  # unwraps Accelerate's optimizer
    if isinstance(optimizer, torch.optim.Optimizer) and "param_groups" in value:  # not that of a schedule
        _keep_types(optimizer, value)
        _match_memory_format(optimizer)


def _module_modes(module: nn.Module) -> dict[str, list[str]]:
    return {
        "frozen": [name for name, parameter in module.named_parameters() if not parameter.requires_grad],
        "eval": [name for name, inner in module.named_modules() if not inner.training],
    }


def _restore_modes(module: nn.Module, modes: Mapping[str, list[str]]) -> None:
    frozen, evaluating = set(modes["frozen"]), set(modes["eval"])
    for name, parameter in module.named_parameters():
        if parameter.requires_grad is (name in frozen):
            parameter.requires_grad_(name not in frozen)
    for name, inner in module.named_modules():
        inner.training = name not in evaluating


def _refuse_left_out(values: Any) -> None:
    for path, one in objects_in("", values):
        raise ValueError(f"it has no state for {path}, {describe_type(one)}.")


def _match_memory_format(optimizer: torch.optim.Optimizer) -> None:
    """Give restored moments the memory format of their parameters.

    A fused optimizer step combines elements by their position in memory, so that moments of another format than that of
    their parameter, such as one that is in channels-last format on this device only, would be assigned to the wrong
    elements.
    """
    held: Mapping[Any, Any] = optimizer.state
    for parameter, state in held.items():
        if not isinstance(parameter, Tensor):  # a counter, which some optimizers keep beside the state of parameters
            continue
        for name, value in state.items():
            if isinstance(value, Tensor) and value.shape == parameter.shape:
                if is_sharded(parameter):
                    state[name] = sharded_like(parameter, value)
                elif value.stride() != parameter.stride():
                    state[name] = torch.empty_like(parameter, dtype=value.dtype).copy_(value)


def _keep_types(optimizer: torch.optim.Optimizer, saved: Mapping[str, Any]) -> None:
    """Give the state of an optimizer the types that it was saved in.

    ``load_state_dict`` casts it to the type of its parameter, which loses the digits of float32 moments of parameters
    in half precision.
    """
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    numbers = [number for group in saved["param_groups"] for number in group["params"]]
    for number, parameter in zip(numbers, parameters, strict=True):
        for name, value in saved["state"].get(number, {}).items():
            loaded = optimizer.state[parameter].get(name)
            if isinstance(value, Tensor) and isinstance(loaded, Tensor) and loaded.dtype != value.dtype:
                optimizer.state[parameter][name] = value.to(loaded.device)
