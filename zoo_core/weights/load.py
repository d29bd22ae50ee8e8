"""Load a model from the name of published weights, the folder of a run, or a weights file."""

from __future__ import annotations

import os
import warnings
from collections.abc import Collection, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from zoo_core.config.command_line import resume_command
from zoo_core.config.settings import check_keys, read
from zoo_core.engine.devices import find_device
from zoo_core.errors import BadFile, BadSetting, UnknownName, one_line, printable
from zoo_core.model import Model
from zoo_core.registry.catalog import Catalog
from zoo_core.registry.weights_index import Entry
from zoo_core.runs.folder import RunFolder
from zoo_core.weights.cache import fetch, refuse_other_model
from zoo_core.weights.format import read_tensors, refuse_not_finite
from zoo_core.weights.hashing import check
from zoo_core.weights.header import PICKLES, Header, read_header
from zoo_core.weights.matching import DTYPES, IncompatibleKeys, Shape, compare, parameter_names, tie, tied_names
from zoo_core.weights.meta_init import SkipInit, build, build_empty, check_size, has_unsaved_tensors
from zoo_core.weights.unset_buffers import allocate_unset_buffers, stored_tensors
from zoo_core.weights.values import count_not_finite


def load(
    source: str | Path,
    catalog: Catalog,
    device: str | torch.device = "cpu",
    dtype: str | torch.dtype | None = None,
    strict: bool = True,
    settings: Mapping[str, Any] | None = None,
) -> tuple[Model, IncompatibleKeys]:
    """The model of ``source`` with its weights, in eval mode, and the tensors that did not fit.

    See :func:`zoo_core.load`.
    """
    target, precision = find_device(str(device), "device"), _floating_dtype(dtype)
    found = find(source, catalog)
    header = found.header
    entry = catalog.find("model", str(header.metadata.get("model")))
    # A header names a registered model, never an import path, so that only code of installed plugins can run.
    model_class = entry.load()
    config = _config(header, model_class, entry.name, {} if settings is None else settings)
    model = build_empty(header, model_class, config)
    refuse_not_finite(header.path, [name for name in found.not_finite if name in parameter_names(model)])
    stored = {} if settings else stored_tensors(header)  # other settings may leave out buffers of the file on purpose
    allocate_unset_buffers(model, stored)
    # Names and shapes are compared on the meta device, before any memory is allocated.
    empty = model.state_dict()
    expected = expected_tensors(empty, header)
    incompatible = compare(header, expected, type(model).__name__, strict=strict, settings_changed=bool(settings))
    if incompatible or has_unsaved_tensors(model):
        check_size(header, model)
        with nullcontext() if incompatible else SkipInit(nn.Parameter):
            model = build(header, model_class, config)  # computes the values that are not in the file
        allocate_unset_buffers(model, stored)
    tensors = read_fitting(header, expected, incompatible, target)
    for name, tensor in tensors.items():
        if not is_lazy(empty[name]) and tensor.stride() != empty[name].stride():
            # The rounding of products depends on the layout, for instance of a transposed parameter.
            tensors[name] = torch.empty_like(empty[name], device=target).copy_(tensor)
    tied_groups = tied_names(model)
    model.load_state_dict(tensors, strict=not incompatible, assign=True)
    for names in tied_groups:
        tie(model, names, tensors, header)
    if incompatible or target.type != "cpu":
        model.to(target)
    if precision is not None:
        _cast(model, precision, header)
    return model.eval(), incompatible


@dataclass(frozen=True)
class WeightsFile:
    """A weights file that was found and checked."""

    header: Header
    entry: Entry | None
    """What the registry says of it; None for the folder of a run and for a file."""
    sha256: str
    not_finite: Collection[str]
    """The names of the tensors that hold NaN or infinite values."""


def find(source: str | Path, catalog: Catalog, *, of_any_origin: bool = False) -> WeightsFile:
    """The weights file of ``source``: the name of published weights, the folder of a run, or a file.

    With ``of_any_origin`` the file may be one of another library, which does not name a model.

    Raises:
        UnknownName: if ``source`` is none of the three.
        BadFile: if the file is damaged, or is not the one that was published.
    """
    path, published = _locate(source, catalog)
    header = read_header(path, of_any_origin=of_any_origin)
    if published is not None and header.metadata:
        refuse_other_model(published, header)
    try:
        checked = check(path)
    except BadFile:
        raise
    except OSError as error:
        raise BadFile(f"{path} can't be read: {error.strerror}.") from error
    if header.status is not None and list(header.status) != checked.status:
        raise BadFile(f"{path} was replaced or changed while it was read.", "Load it again when nothing writes to it.")
    if published is not None and checked.sha256 != published.listed.sha256:
        raise BadFile(
            f"weights '{published.name}': {path} was replaced or changed while it was read.", "Load it again."
        )
    return WeightsFile(header, published, checked.sha256, checked.not_finite)


def expected_tensors(state: Mapping[str, Tensor], header: Header) -> dict[str, tuple[torch.dtype, Shape]]:
    """The type and shape of each tensor of a model, whose ``state_dict`` is ``state``, as the file should have them."""
    return {name: (tensor.dtype, _shape(name, tensor, header)) for name, tensor in state.items()}


def read_fitting(
    header: Header,
    expected: Mapping[str, tuple[torch.dtype, Shape]],
    incompatible: IncompatibleKeys,
    device: torch.device,
) -> dict[str, Tensor]:
    """The tensors of the file that fit, in the types of the model.

    Raises:
        BadFile: if values are too large for the type of the model.
    """
    fitting = expected.keys() - incompatible.missing.keys() - incompatible.mismatched.keys()
    tensors = {
        name: tensor for name, tensor in read_tensors(header.path, device, header.status).items() if name in fitting
    }
    for name, tensor in tensors.items():
        if tensor.dtype != expected[name][0]:
            tensors[name] = tensor.to(expected[name][0])  # may be stored in half precision
            if tensor.itemsize > tensors[name].itemsize:
                _check_overflow(count_not_finite(tensor), tensors[name], name, header)
    return tensors


def locate(source: str | Path, catalog: Catalog) -> Path:
    """The path of the weights file of ``source``. See :func:`_locate`."""
    return _locate(source, catalog)[0]


def _locate(source: str | Path, catalog: Catalog) -> tuple[Path, Entry | None]:
    """The weights file of a run's folder, of a path, or of a published name, and the registry entry of the latter.

    Published weights are downloaded if necessary, and their SHA-256 is verified.

    Raises:
        UnknownName: if ``source`` is none of the three.
        BadFile: if a downloaded file is not the one that was published, or a run has no weights yet.
    """
    path = Path(source)
    if os.path.isdir(path):  # unlike pathlib's, it does not raise for overlong names
        folder = RunFolder(path)
        if not folder.weights.is_file():
            raise BadFile(
                f"{path} holds no {folder.weights.name}.",
                f"If its run was interrupted, resume it: {resume_command(path)}",
            )
        return folder.weights, None
    if os.path.lexists(path):
        return path, None
    if "://" in str(source):
        raise UnknownName(
            f"{source} is a URL, whose content cannot be verified without a checksum.",
            "List it with a name, its sha256, size and license in a registry.yaml: see docs/weights.md.",
        )
    looks_like_path = path.suffix in (".safetensors", *PICKLES) or len(path.parts) > 2
    if str(source) not in catalog.weights and looks_like_path:
        raise UnknownName(
            f"{one_line(str(source))} does not exist.", "Give a run's folder, a file, or a name: `zoo weights list`."
        )
    entry = catalog.published(str(source))
    if entry.listed.deprecated:
        note = printable(f"weights '{source}' are deprecated: {entry.listed.deprecated}")
        warnings.warn(note, stacklevel=2)
    return fetch(entry, catalog), entry


def _config(header: Header, model_class: type[Any], name: str, changes: Mapping[str, Any]) -> Any:
    check_keys(model_class.Config, changes, f"model '{name}'")
    try:
        config = read(model_class.Config, header.metadata.get("config", {}), f"model '{name}'", "model")
    except BadSetting as error:
        raise BadFile(
            f"{header.path}: {one_line(error.message, 400)}",
            f"According to its header, it is {header.summary()}; update the plugin.",
        ) from error
    if not changes:
        return config
    return read(model_class.Config, {**header.metadata.get("config", {}), **changes}, f"model '{name}'")


def _shape(name: str, tensor: Tensor, header: Header) -> Shape:
    """The shape of a tensor of the model; a lazy one, which is to take any shape, has that of the file."""
    return header.tensors.get(name, ("", ()))[1] if is_lazy(tensor) else tuple(tensor.shape)


def _cast(model: Model, precision: torch.dtype, header: Header) -> None:
    """Cast the floating-point tensors of a model; complex and integer tensors keep their type.

    Raises:
        BadFile: if values overflow.
    """
    before = {name: count_not_finite(tensor) for name, tensor in model.state_dict().items()}
    model._apply(  # type: ignore[no-untyped-call]
        lambda tensor: tensor.to(precision) if tensor.is_floating_point() else tensor
    )
    for name, tensor in model.state_dict().items():
        if tensor.is_floating_point():
            _check_overflow(before[name], tensor, name, header)


def _check_overflow(before: int, converted: Tensor, name: str, header: Header) -> None:
    """Raise BadFile if a cast has made finite values infinite: if there were fewer ``before``."""
    if count_not_finite(converted) > before:
        raise BadFile(f"{header.path}: '{name}' holds values that are too large for {converted.dtype}.")


def _floating_dtype(dtype: str | torch.dtype | None) -> torch.dtype | None:
    found = getattr(torch, dtype, None) if isinstance(dtype, str) else dtype
    if found is None and dtype is None:
        return None
    if not isinstance(found, torch.dtype) or not found.is_floating_point or found not in DTYPES.values():
        raise BadSetting(f"dtype is {dtype!r}, but should be a floating-point type.", "Use for example 'bfloat16'.")
    return found
