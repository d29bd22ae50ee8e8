"""Weights from elsewhere, a pickle or a safetensors file without a story, as a weights file of zoo."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from torch import Tensor

from zoo_core.config.settings import read
from zoo_core.errors import BadFile, BadSetting
from zoo_core.registry.catalog import Catalog
from zoo_core.runs.environment import versions
from zoo_core.weights.format import check_ending, read_tensors, write
from zoo_core.weights.hashing import check
from zoo_core.weights.header import starts_like_pickle
from zoo_core.weights.load import load

_WRAPPERS = ("module.", "_orig_mod.")  # of DistributedDataParallel, of torch.compile


def convert(
    source: Path, output: Path, model: str, settings: Mapping[str, Any], catalog: Catalog, key: str = ""
) -> Path:
    """Write the tensors of ``source`` to ``output``, as weights of the registered ``model`` with these ``settings``.

    A pickle is read in a process of its own, which takes tensors only. ``key`` says where in it they are, such as
    ``state_dict``.

    Raises:
        BadFile: if ``source`` can't be read, or does not fit the model; nothing is written then.
    """
    if not source.is_file():
        raise BadFile(f"{source} does not exist.")
    check_ending(output)
    if output.exists():
        raise BadFile(f"{output} is there already, and nothing is overwritten.", "Choose another -o FILE.")
    model_class = catalog.find("model", model).load()
    config = read(model_class.Config, settings, f"model '{model}'", "model")
    with TemporaryDirectory() as folder:
        named = source.suffix.lower() == ".safetensors" and not starts_like_pickle(source)
        if named and key:
            raise BadSetting(f"{source} holds tensors right away, so --key {key} says nothing.", "Leave it out.")
        plain = source if named else _tensors_only(source, Path(folder), key)
        metadata = {
            "model": model,
            "config": asdict(config),
            "versions": versions(),
            "converted": {"file": source.name, "sha256": check(source).sha256},
        }
        whole = Path(folder, "whole.safetensors")
        write(whole, _unwrapped(read_tensors(plain)), metadata)
        try:
            load(whole, catalog)
        except BadFile as error:
            raise BadFile(error.message.replace(str(whole), str(source)), error.hint) from None
        write(output, read_tensors(whole), metadata)
    return output


def _tensors_only(source: Path, folder: Path, key: str) -> Path:
    plain = folder / "plain.safetensors"
    # -P: what lies in the working folder, perhaps beside the stranger's file, is no module.
    words = [sys.executable, "-P", "-m", "zoo_core.tools.unpickle", str(source), str(plain), key]
    done = subprocess.run(words, capture_output=True, text=True)  # noqa: S603  # a module of zoo's own
    if done.returncode or not plain.is_file():
        lines = done.stderr.strip().splitlines()
        raise BadFile(
            f"{source} can't be converted: {lines[-1] if lines else f'the reader ended with {done.returncode}'}.",
            "Only tensors are taken out of a pickle; save model.state_dict() alone.",
        )
    return plain


def _unwrapped(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """``tensors`` by the names that the model itself gives them; wrappers may lie around one another."""
    for _ in range(len(_WRAPPERS)):
        for wrapper in _WRAPPERS:
            if all(name.startswith(wrapper) for name in tensors):
                tensors = {name.removeprefix(wrapper): tensor for name, tensor in tensors.items()}
    return tensors
