"""The tensors of files of other programs: joined from several files, and without the names that wrappers add."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from zoo_core.errors import BadFile, one_line
from zoo_core.files import parse_json, stat_regular
from zoo_core.weights.format import read_tensors

INDEX = ".safetensors.index.json"
_MAX_BYTES = 16 * 2**20  # of an index; that of a network of 100,000 tensors has about 10 MB
_OUTER = {"module.": "DistributedDataParallel", "_orig_mod.": "torch.compile"}
_INNER = {  # also of parts of a network
    "_orig_mod": "torch.compile",
    "_fsdp_wrapped_module": "FSDP",
    "_checkpoint_wrapped_module": "activation checkpointing",
}
_COUNTER = "n_averaged"  # of torch.optim.swa_utils.AveragedModel, whose network is its attribute `module`
_SHOWN = 10
_DAMAGED = "Download the index and all files of the model again."


def read_shards(index: Path, tell: Callable[[str], object]) -> dict[str, Tensor]:
    """The tensors of all files that an index lists, ``{"weight_map": {tensor: file}}``.

    Raises:
        BadFile: if the index is damaged, or a file is missing, elsewhere, or has other tensors than the index says.
    """
    if stat_regular(index).st_size > _MAX_BYTES:
        raise BadFile(f"{index} has more than {_MAX_BYTES:,} bytes, too many for an index.", _DAMAGED)
    try:
        content = parse_json(index.read_bytes())
    except (ValueError, RecursionError) as error:
        raise BadFile(f"{index} is not JSON: {one_line(str(error))}.", _DAMAGED) from error
    listed = content.get("weight_map") if isinstance(content, Mapping) else None
    if not isinstance(listed, Mapping) or not listed or not all(isinstance(file, str) for file in listed.values()):
        raise BadFile(f"{index} has no weight_map from tensors to files.", "Give the index of a sharded model.")
    tensors: dict[str, Tensor] = {}
    files = sorted(set(listed.values()))
    for file in files:
        if Path(file).name != file or not file.endswith(".safetensors"):
            raise BadFile(f"{index} lists the file '{one_line(file)}', but should list files beside it.", _DAMAGED)
        if not (index.parent / file).is_file():
            raise BadFile(f"{index} lists {file}, which is not beside it.", "Download all files of the model.")
        own = {name for name, place in listed.items() if place == file}
        found = read_tensors(index.parent / file)
        if own != found.keys():
            name = min(own ^ found.keys())
            has, says = ("lacks", "lists") if name in own else ("has", "does not list")
            raise BadFile(f"{index.parent / file} {has} '{one_line(name)}', which the index {says} there.", _DAMAGED)
        tensors |= found
    tell(f"joined {len(files)} files with {len(tensors):,} tensors")
    return tensors


def without_wrappers(tensors: Mapping[str, Tensor], tell: Callable[[str], object]) -> dict[str, Tensor]:
    """``tensors`` without what wrappers add to their names, in any order of nesting, and without the counter of an
    average. ``tell`` gets a line for each that was found.

    Raises:
        BadFile: if two tensors have the same name then.
    """
    found = dict(tensors)
    if _COUNTER in found and len(found) > 1 and all(name.startswith("module.") for name in found if name != _COUNTER):
        del found[_COUNTER]
        found = _renamed(found, lambda name: name.removeprefix("module."))
        average = "torch.optim.swa_utils.AveragedModel"
        tell(f"left out '{_COUNTER}', and 'module.' of the names: the weights are the average of {average}")
    for part, wrapper in _INNER.items():
        if any(part in name.split(".")[:-1] for name in found):
            found = _renamed(found, lambda name, part=part: ".".join(one for one in name.split(".") if one != part))
            tell(f"removed '{part}.' from the names, which {wrapper} adds")
    for _ in range(len(_OUTER)):
        for prefix, wrapper in _OUTER.items():
            if found and all(name.startswith(prefix) for name in found):
                found = _renamed(found, lambda name, prefix=prefix: name.removeprefix(prefix))
                tell(f"removed '{prefix}' from the names, which {wrapper} adds")
    return found


def _renamed(tensors: Mapping[str, Tensor], rename: Callable[..., str]) -> dict[str, Tensor]:
    renamed: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        if rename(name) in renamed:
            raise BadFile(
                f"two tensors are called '{one_line(rename(name))}' without the names of wrappers.",
                "Save the state dict of one model alone.",
            )
        renamed[rename(name)] = tensor
    return renamed


def names_in(tensors: Mapping[str, Any] | Iterable[str]) -> str:
    """The first names of a file: ``'a', 'b' and 5 more``."""
    names = list(tensors)
    shown = ", ".join(f"'{one_line(name, 100)}'" for name in names[:_SHOWN])
    return f"{shown} and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else shown or "nothing"
