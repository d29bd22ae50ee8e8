"""From a name, a run's folder or a file to a model with its weights."""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Iterable, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import (
    register_module_module_registration_hook,
    register_module_parameter_registration_hook,
)
from torch.overrides import TorchFunctionMode

from zoo_core.catalog import Catalog
from zoo_core.devices import find_device
from zoo_core.errors import BadFile, BadSetting, UnknownName, ZooError, one_line
from zoo_core.folder import RunFolder
from zoo_core.model import Model
from zoo_core.settings import read
from zoo_core.weights.cache import obtain, refuse_other_model
from zoo_core.weights.checked import check, is_finite
from zoo_core.weights.entries import Entry
from zoo_core.weights.format import read_tensors
from zoo_core.weights.header import PICKLES, Header, read_header

_DTYPES = {  # safetensors' names of the types that PyTorch has
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U64": torch.uint64,
    "U32": torch.uint32,
    "U16": torch.uint16,
    "U8": torch.uint8,
    "BOOL": torch.bool,
    "C64": torch.complex64,
}
_OWN = vars(nn.Module()).keys()  # attributes that every module has: its parameters, buffers, hooks
_MOST_MORE = 10  # how many times what a file holds its settings may build
Shape = tuple[int, ...]


@dataclass(frozen=True)
class LeftOut:
    """What ``zoo.load(…, strict=False)`` did not take from the file, or did not find in it; by name, with shapes."""

    missing: Mapping[str, Shape] = field(default_factory=dict)
    """The model has it, the file does not: it keeps its initial values."""
    surplus: Mapping[str, Shape] = field(default_factory=dict)
    """The file has it, the model does not."""
    reshaped: Mapping[str, tuple[Shape, Shape]] = field(default_factory=dict)
    """Its shape in the file, and in the model, where it keeps its initial values."""

    def __bool__(self) -> bool:
        return bool(self.missing or self.surplus or self.reshaped)


def load(
    source: str | Path,
    catalog: Catalog,
    device: str | torch.device = "cpu",
    dtype: str | torch.dtype | None = None,
    strict: bool = True,
    settings: Mapping[str, Any] | None = None,
) -> tuple[Model, LeftOut]:
    """The model that ``source`` holds, in eval mode, and what was left out of it. See :func:`zoo_core.load`."""
    target, precision = find_device(str(device), "device"), _floating(dtype)
    path, published = _located(source, catalog)
    header = read_header(path)
    if published is not None:
        refuse_other_model(published, header)
    _refuse_spoilt(header)
    entry = catalog.find("model", str(header.story.get("model")))
    # A header names a registered model, never an import path: only code of installed plugins can run.
    model_class = entry.load()
    config = _config(header, model_class, entry.name, settings or {})
    model = _build_empty(header, model_class, config)
    # What the model has is known before a byte of it is allocated.
    wanted = {name: (tensor.dtype, tuple(tensor.shape)) for name, tensor in model.state_dict().items()}
    left_out = _compare(header, wanted, type(model).__name__, refuse=strict, changed=bool(settings))
    if left_out or _holds_more(model):
        _refuse_enormous(header, model)
        with nullcontext() if left_out else _NoInitialValues(nn.Parameter):
            model = _build(header, model_class, config)  # for the values that are not in the file
    taken = wanted.keys() - left_out.missing.keys() - left_out.reshaped.keys()
    tensors = {name: tensor for name, tensor in read_tensors(header.path, target).items() if name in taken}
    for name, tensor in tensors.items():
        if tensor.dtype != wanted[name][0]:
            tensors[name] = tensor.to(wanted[name][0])  # stored in half, computed in full
            if tensor.itemsize > tensors[name].itemsize:
                _refuse_too_large(tensors[name], name, header)
    tied = _tied(model)
    model.load_state_dict(tensors, strict=not left_out, assign=True)
    for names in tied:
        _tie(model, names, tensors, header)
    if left_out or target.type != "cpu":
        model.to(target)
    if precision is not None:
        _cast(model, precision, header)
    return model.eval(), left_out


def locate(source: str | Path, catalog: Catalog) -> Path:
    """Where the weights ``source`` lie. See :func:`_located`."""
    return _located(source, catalog)[0]


def _located(source: str | Path, catalog: Catalog) -> tuple[Path, Entry | None]:
    """The weights file of a run's folder, a path, or a published name, which is fetched and whose SHA-256 is checked;
    then with its entry.

    Raises:
        UnknownName: if it is none of the three.
        BadFile: if a published file is not the one that was published, or a run has no result yet.
    """
    path = Path(source)
    if os.path.isdir(path):  # unlike pathlib's, it raises for no name, however long
        folder = RunFolder(path)
        if not folder.weights.is_file():
            raise BadFile(
                f"{path} holds no {folder.weights.name}.",
                f"If its run was killed, go on: zoo run --resume {path}",
            )
        return folder.weights, None
    if os.path.lexists(path):
        return path, None
    if "://" in str(source):
        raise UnknownName(
            f"{source} is a location, which says nothing of what should lie there.",
            "Give it a name with its sha256, size and licence in a registry.yaml: see docs/weights.md.",
        )
    published = catalog.weights
    looks_like_path = path.suffix in (".safetensors", *PICKLES) or len(path.parts) > 2
    if str(source) not in published and looks_like_path:
        raise UnknownName(
            f"{one_line(str(source))} does not exist.", "Give a run's folder, a file, or a name: `zoo weights list`."
        )
    entry = published.find(str(source))
    if entry.listed.deprecated:
        warnings.warn(f"weights '{source}' should no longer be used: {entry.listed.deprecated}", stacklevel=2)
    return obtain(entry, catalog), entry


def _config(header: Header, model_class: type[Any], name: str, changes: Mapping[str, Any]) -> Any:
    known = getattr(model_class.Config, "__dataclass_fields__", {})
    for key in changes:
        if key not in known:
            read(model_class.Config, {key: changes[key]}, f"model '{name}'", "model")  # says what is near
    try:
        config = read(model_class.Config, header.story.get("config", {}), f"model '{name}'", "model")
    except BadSetting as error:
        raise BadFile(
            f"{header.path}: {one_line(error.problem, 400)}",
            f"The file says that it is {header.says()}; update the plugin.",
        ) from error
    if not changes:
        return config
    return read(model_class.Config, {**header.story.get("config", {}), **changes}, f"model '{name}'", "model")


def _build_empty(header: Header, model_class: type[Any], config: Any) -> Model:
    """The model on the meta device: shapes without memory or initial values.

    A header is a stranger's: settings that would build a network of far more tensors than the file has are refused
    before they fill the memory.
    """
    most = _MOST_MORE * len(header.tensors) + 1000
    try:
        with _at_most(most), torch.device("meta"), _NoInitialValues():
            return _build(header, model_class, config)
    except _TooMany:
        raise BadFile(
            f"{header.path}: its settings build a network of more than {most:,} tensors and modules, "
            f"but it holds {len(header.tensors):,} tensors.",
            f"The file says that it is {header.says()}.",
        ) from None


def _build(header: Header, model_class: type[Any], config: Any) -> Model:
    try:
        model: Model = model_class(config)
    except (ZooError, _TooMany):
        raise
    except Exception as error:  # a plugin's code with a stranger's settings: it may raise anything
        reason = one_line(str(error)) or "it gave no reason"
        raise BadFile(
            f"{header.path}: a {model_class.__name__} of its settings can't be built: {type(error).__name__}: {reason}",
            f"The file says that it is {header.says()}. A model should build under torch.device('meta').",
        ) from error
    return model


def _refuse_enormous(header: Header, model: Model) -> None:
    """``model`` is empty; once it is built with initial values, it takes the memory that the settings ask for."""
    attributes = (one for module in model.modules() for one in vars(module).values() if isinstance(one, Tensor))
    needed = sum(tensor.numel() for tensor in chain(model.parameters(), model.buffers(), attributes))
    most = _MOST_MORE * header.parameters + 2**26
    if needed > most:
        raise BadFile(
            f"{header.path}: its settings build a network of {needed:,} numbers, but it holds {header.parameters:,}.",
            f"The file says that it is {header.says()}.",
        )


class _NoInitialValues(TorchFunctionMode):
    """Inside, ``torch.nn.init`` leaves tensors of ``kind`` as they are: what is on the meta device, or is read from a
    file next, needs no values, and they take time."""

    def __init__(self, kind: type[Tensor] = Tensor) -> None:
        super().__init__()
        self._kind = kind

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if getattr(func, "__module__", None) == "torch.nn.init":
            tensor = args[0] if args else kwargs["tensor"]
            if isinstance(tensor, self._kind):
                return tensor
        return func(*args, **(kwargs or {}))


class _TooMany(Exception):
    pass


@contextmanager
def _at_most(count: int) -> Any:
    """Inside, registering more parameters and modules than ``count`` raises _TooMany; the hooks are of all threads."""
    seen, thread = 0, threading.get_ident()

    def note(module: nn.Module, name: str, registered: nn.Parameter | nn.Module | None) -> None:
        nonlocal seen
        if threading.get_ident() != thread:
            return
        seen += 1
        if seen > count:
            raise _TooMany

    handles = [register_module_parameter_registration_hook(note), register_module_module_registration_hook(note)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _compare(
    header: Header, wanted: Mapping[str, tuple[torch.dtype, Shape]], model: str, refuse: bool, changed: bool
) -> LeftOut:
    """What the file and the model do not have in common; with ``refuse`` the first of it is an error."""
    path, held = header.path, header.tensors
    cure = f"The file says that it is {header.says()}."
    if changed and refuse:
        cure += " To leave out what no longer fits: strict=False."
    missing = {name: shape for name, (_, shape) in wanted.items() if name not in held}
    surplus = {name: shape for name, (_, shape) in held.items() if name not in wanted}
    reshaped = {name: (held[name][1], shape) for name, (_, shape) in wanted.items() if name in held}
    reshaped = {name: shapes for name, shapes in reshaped.items() if shapes[0] != shapes[1]}
    if refuse and reshaped:
        name, (there, here) = next(iter(reshaped.items()))
        raise BadFile(f"{path}: '{name}' has shape {there}, but {model} has {here}.", cure)
    if refuse and missing:
        name, shape = next(iter(missing.items()))
        raise BadFile(f"{path} lacks '{name}' {shape}, which {model} has.", cure)
    if refuse and surplus:
        name, shape = next(iter(surplus.items()))
        raise BadFile(f"{path} has '{name}' {shape}, which {model} does not have.", cure)
    for name, (dtype, _) in wanted.items():
        if name in held and name not in reshaped and not _fits(_DTYPES.get(held[name][0]), dtype):
            kind = str(dtype).removeprefix("torch.")
            raise BadFile(f"{path}: '{name}' holds {held[name][0]}, but {model} has {kind}.", cure)
    return LeftOut(missing, surplus, reshaped)


def _fits(held: torch.dtype | None, wanted: torch.dtype) -> bool:
    """Floating-point numbers may be stored in half; anything else is stored as it is."""
    if held is None:
        return False
    return held == wanted or (held.is_floating_point and wanted.is_floating_point)


def _holds_more(model: Model) -> bool:
    """Whether the model has tensors that are in no file: buffers that are not kept, or plain attributes."""
    for module in model.modules():
        if module._non_persistent_buffers_set:
            return True
        if any(_has_tensor(one) for name, one in vars(module).items() if name not in _OWN):
            return True
    return False


def _has_tensor(held: Any, depth: int = 5) -> bool:
    """Whether ``held`` is one, or has one within: among its elements, or the attributes of a plain object."""
    if isinstance(held, (list, tuple, set, frozenset)):
        inner: Iterable[Any] = held
    elif isinstance(held, dict):
        inner = held.values()
    # isinstance(held, Tensor) looks further than the class, and takes longer than all the rest of this.
    elif Tensor in type(held).__mro__:
        return True
    elif callable(held) or isinstance(held, ModuleType):  # a class, a function, a module of torch's
        return False
    else:
        inner = getattr(held, "__dict__", {}).values()
    return depth > 0 and any(_has_tensor(one, depth - 1) for one in inner)


def _tied(model: Model) -> list[list[str]]:
    """The names of each parameter and buffer that has several."""
    names: dict[int, list[str]] = {}
    for name, tensor in chain(
        model.named_parameters(remove_duplicate=False), model.named_buffers(remove_duplicate=False)
    ):
        names.setdefault(id(tensor), []).append(name)
    return [several for several in names.values() if len(several) > 1]


def _tie(model: Model, names: list[str], tensors: Mapping[str, Tensor], header: Header) -> None:
    """Let all ``names`` be one tensor again, that of the file: its tensors are each by themselves."""
    read = [name for name in names if name in tensors] or names[:1]
    for name in read[1:]:
        if not torch.equal(tensors[read[0]], tensors[name]):
            raise BadFile(
                f"{header.path}: '{read[0]}' and '{name}' differ, but {type(model).__name__} has them as one.",
                f"The file says that it is {header.says()}.",
            )
    owner, _, attribute = read[0].rpartition(".")
    one = getattr(model.get_submodule(owner), attribute)
    for name in names:
        owner, _, attribute = name.rpartition(".")
        setattr(model.get_submodule(owner), attribute, one)


def _cast(model: Model, precision: torch.dtype, header: Header) -> None:
    """Compute in ``precision``: what is real and floating-point, of a model whose numbers it can hold."""
    model._apply(  # type: ignore[no-untyped-call]
        lambda tensor: tensor.to(precision) if tensor.is_floating_point() else tensor
    )
    for name, tensor in model.state_dict().items():
        if tensor.is_floating_point():
            _refuse_too_large(tensor, name, header)


def _refuse_too_large(converted: Tensor, name: str, header: Header) -> None:
    """A file's own numbers are finite; what they became in another precision may not be."""
    if not is_finite(converted):
        raise BadFile(f"{header.path}: '{name}' holds numbers that are too large for {converted.dtype}.")


def _refuse_spoilt(header: Header) -> None:
    try:
        spoilt = check(header.path).spoilt
    except OSError as error:
        raise BadFile(f"{header.path} can't be read: {error.strerror}.") from error
    if spoilt:
        raise BadFile(f"{header.path}: '{spoilt}' holds NaN or infinite numbers.", "Get another file, or train anew.")


def _floating(dtype: str | torch.dtype | None) -> torch.dtype | None:
    found = getattr(torch, dtype, None) if isinstance(dtype, str) else dtype
    if found is None and dtype is None:
        return None
    if not isinstance(found, torch.dtype) or not found.is_floating_point or found not in _DTYPES.values():
        raise BadSetting(f"dtype is {dtype!r}, but should be a floating-point type.", "Write for example 'bfloat16'.")
    return found
