"""From a name, a run's folder or a file to a model with its weights."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from zoo_core.config.settings import read
from zoo_core.engine.devices import find_device
from zoo_core.errors import BadFile, BadSetting, UnknownName, one_line
from zoo_core.model import Model
from zoo_core.registry.catalog import Catalog
from zoo_core.registry.weights_index import Entry
from zoo_core.runs.folder import RunFolder
from zoo_core.weights.cache import fetch, refuse_other_model
from zoo_core.weights.format import read_tensors
from zoo_core.weights.hashing import check, is_finite
from zoo_core.weights.header import PICKLES, Header, read_header
from zoo_core.weights.matching import DTYPES, IncompatibleKeys, compare, tie, tied
from zoo_core.weights.meta_init import SkipInit, build, build_empty, holds_more, refuse_enormous


def load(
    source: str | Path,
    catalog: Catalog,
    device: str | torch.device = "cpu",
    dtype: str | torch.dtype | None = None,
    strict: bool = True,
    settings: Mapping[str, Any] | None = None,
) -> tuple[Model, IncompatibleKeys]:
    """The model that ``source`` holds, in eval mode, and what was left out of it. See :func:`zoo_core.load`."""
    target, precision = find_device(str(device), "device"), _floating(dtype)
    path, published = _located(source, catalog)
    header = read_header(path)
    if published is not None:
        refuse_other_model(published, header)
    _refuse_spoilt(header)
    entry = catalog.find("model", str(header.metadata.get("model")))
    # A header names a registered model, never an import path: only code of installed plugins can run.
    model_class = entry.load()
    config = _config(header, model_class, entry.name, settings or {})
    model = build_empty(header, model_class, config)
    # What the model has is known before a byte of it is allocated.
    wanted = {name: (tensor.dtype, tuple(tensor.shape)) for name, tensor in model.state_dict().items()}
    left_out = compare(header, wanted, type(model).__name__, refuse=strict, changed=bool(settings))
    if left_out or holds_more(model):
        refuse_enormous(header, model)
        with nullcontext() if left_out else SkipInit(nn.Parameter):
            model = build(header, model_class, config)  # for the values that are not in the file
    taken = wanted.keys() - left_out.missing.keys() - left_out.reshaped.keys()
    tensors = {name: tensor for name, tensor in read_tensors(header.path, target).items() if name in taken}
    for name, tensor in tensors.items():
        if tensor.dtype != wanted[name][0]:
            tensors[name] = tensor.to(wanted[name][0])  # stored in half, computed in full
            if tensor.itemsize > tensors[name].itemsize:
                _refuse_too_large(tensors[name], name, header)
    several = tied(model)
    model.load_state_dict(tensors, strict=not left_out, assign=True)
    for names in several:
        tie(model, names, tensors, header)
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
            "Give it a name with its sha256, size and license in a registry.yaml: see docs/weights.md.",
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
    return fetch(entry, catalog), entry


def _config(header: Header, model_class: type[Any], name: str, changes: Mapping[str, Any]) -> Any:
    known = getattr(model_class.Config, "__dataclass_fields__", {})
    for key in changes:
        if key not in known:
            read(model_class.Config, {key: changes[key]}, f"model '{name}'", "model")  # says what is near
    try:
        config = read(model_class.Config, header.metadata.get("config", {}), f"model '{name}'", "model")
    except BadSetting as error:
        raise BadFile(
            f"{header.path}: {one_line(error.message, 400)}",
            f"The file says that it is {header.says()}; update the plugin.",
        ) from error
    if not changes:
        return config
    return read(model_class.Config, {**header.metadata.get("config", {}), **changes}, f"model '{name}'", "model")


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
    if not isinstance(found, torch.dtype) or not found.is_floating_point or found not in DTYPES.values():
        raise BadSetting(f"dtype is {dtype!r}, but should be a floating-point type.", "Write for example 'bfloat16'.")
    return found
