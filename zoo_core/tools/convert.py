"""Convert weights from other programs, a pickle or a safetensors file without metadata, to a weights file of zoo."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor

from zoo_core.config.settings import read
from zoo_core.errors import BadFile, BadSetting
from zoo_core.model import Model
from zoo_core.registry.catalog import Catalog
from zoo_core.runs.environment import versions
from zoo_core.tools.foreign_tensors import INDEX, names_in, read_shards, without_wrappers
from zoo_core.weights.format import check_ending, read_tensors, write
from zoo_core.weights.hashing import check
from zoo_core.weights.header import starts_like_pickle
from zoo_core.weights.load import load
from zoo_core.weights.matching import parameter_names
from zoo_core.weights.metadata import sizes

_SHARD = re.compile(r"-\d+-of-\d+\.safetensors$")


def convert(
    source: Path,
    output: Path,
    model: str,
    settings: Mapping[str, Any],
    catalog: Catalog,
    key: str = "",
    tell: Callable[[str], object] = lambda line: None,
) -> Path:
    """Write the tensors of ``source`` to ``output``, as weights of the registered ``model`` with these ``settings``.

    A pickle is read in a separate process, which extracts tensors only. ``key`` is the path of the state dict inside
    the pickle, such as ``state_dict``. ``source`` may be the index of a sharded model, ``….safetensors.index.json``.
    ``tell`` gets a line for each change of the names.

    Raises:
        BadFile: if ``source`` can't be read, or does not fit the model; nothing is written then.
    """
    if source.is_dir():
        raise BadFile(f"{source} is a folder, but should be a file.", f"Give a file in it, as the index, *{INDEX}.")
    if not source.is_file():
        raise BadFile(f"{source} does not exist.", "Check the name.")
    check_ending(output)
    if output.exists():
        raise BadFile(f"{output} already exists, and is not overwritten.", "Choose another -o FILE.")
    model_class = catalog.find("model", model).load()
    config = read(model_class.Config, settings, f"model '{model}'", "model")
    with TemporaryDirectory() as folder:
        is_index = source.name.lower().endswith(INDEX)
        is_safetensors = (source.suffix.lower() == ".safetensors" and not starts_like_pickle(source)) or is_index
        if is_safetensors and key:
            raise BadSetting(f"{source} is a safetensors file, so --key {key} does not apply.", "Leave it out.")
        if is_index:
            stored = read_shards(source, tell)
        else:
            stored = read_tensors(source if is_safetensors else _extract_tensors(source, Path(folder), key))
        metadata = {
            "model": model,
            "config": asdict(config),
            "versions": versions(),
            "converted": {"file": source.name, "sha256": check(source).sha256},
        }
        converted = Path(folder, "converted.safetensors")
        try:
            tensors = _with_prefix(without_wrappers(stored, tell), model_class, config)
            write(converted, tensors, metadata)
            loaded, _ = load(converted, catalog)
        except BadFile as error:
            # The hint of the error quotes the header, which is not of the file.
            hint = f"The file has {names_in(stored)}. Check --model and its settings"
            part = "" if _SHARD.search(source.name) is None else f", or give the index, *{INDEX}"
            # Nor are the names of the files in between.
            message = re.sub(rf"{re.escape(folder)}/\S+\.(safetensors|part)\b", lambda _: str(source), error.message)
            raise BadFile(message.removeprefix(f"{source} could not be written: "), f"{hint}{part}.") from None
        write(output, read_tensors(converted), {**metadata, **sizes(loaded)}, parameter_names(loaded))
    return output


def _extract_tensors(source: Path, folder: Path, key: str) -> Path:
    plain = folder / "plain.safetensors"
    # -P: files in the working folder, which may come with the pickle, must not be imported as modules.
    command = [sys.executable, "-P", "-m", "zoo_core.tools.unpickle", str(source), str(plain), key]
    done = subprocess.run(command, capture_output=True, text=True)  # noqa: S603  # a module of zoo
    if done.returncode or not plain.is_file():
        lines = done.stderr.strip().splitlines()
        raise BadFile(
            f"{source} can't be converted: {(lines[-1] if lines else f'exit code {done.returncode}').rstrip('.')}.",
            "Only tensors are read from a pickle; save model.state_dict() alone.",
        )
    return plain


def _with_prefix(tensors: dict[str, Tensor], model_class: type[Model], config: Any) -> dict[str, Tensor]:
    """``tensors`` with the prefix of the model, if it only wraps the network of another library that they are for."""
    with torch.device("meta"):
        prefixes = {name.partition(".")[0] for name in model_class(config).state_dict()}
    if len(prefixes) != 1 or any(name.partition(".")[0] in prefixes for name in tensors):
        return tensors
    (prefix,) = prefixes
    return {f"{prefix}.{name}": tensor for name, tensor in tensors.items()}
