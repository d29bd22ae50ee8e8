"""Checkpoints: at every instant a whole one is on disk, and the newest that verifies is the one that counts."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Collection, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from zoo_core.checkpoint.serialize import Packed
from zoo_core.errors import BadFile
from zoo_core.files import sha256_of, sync
from zoo_core.weights.format import apart, read_tensors

FORMAT = 1


def save(folder: Path, step: int, captured: Mapping[str, Packed], keep: int, spared: Collection[int] = ()) -> Path:
    """Write ``folder/step-000001000``, aside first and renamed when it is whole, then drop all but the newest ``keep``
    and those of the steps ``spared``.

    Raises:
        BadFile: if it cannot be written; earlier checkpoints are untouched.
    """
    final = folder / _name(step)
    aside = folder / f".{final.name}.{os.getpid()}"
    for unfinished in folder.glob(".step-*"):  # of a process that was killed as it saved
        shutil.rmtree(unfinished, ignore_errors=True)
    try:
        folder.mkdir(exist_ok=True)
        aside.mkdir()
        files = _written(aside, {name: tensors for name, (tensors, _) in captured.items() if tensors})
        held = {name: structure for name, (_, structure) in captured.items()}
        state = {"format": FORMAT, "step": step, "files": files, "held": held}
        (aside / "state.json").write_text(json.dumps(state) + "\n", encoding="utf-8")
        sync(aside / "state.json")
        sync(aside)
        if final.exists():
            shutil.rmtree(final)
        aside.rename(final)
        sync(folder)
    except (OSError, SafetensorError) as error:
        shutil.rmtree(aside, ignore_errors=True)
        reason = getattr(error, "strerror", None) or error
        raise BadFile(f"the checkpoint of step {step} could not be written to {folder}: {reason}.") from error
    stay = {final.name, *map(_name, spared)}
    for old in [path for path in _newest_first(folder) if path.name not in stay][keep - 1 :]:
        shutil.rmtree(old, ignore_errors=True)  # one that can't be dropped now is dropped behind the next
    return final


def load(path: Path) -> tuple[int, dict[str, Packed]]:
    """The step and state of one checkpoint, every file checked against its hash.

    Raises:
        BadFile: if a file is missing, altered, or of another format.
    """
    try:
        state = json.loads((path / "state.json").read_text(encoding="utf-8"))
        if state["format"] != FORMAT:
            raise BadFile(f"{path} has format {state['format']}, but this zoo reads {FORMAT}.")
        for name, expected in state["files"].items():
            if sha256_of(path / f"{name}.safetensors") != expected:
                raise BadFile(f"{path / name}.safetensors is damaged: its sha256 is not the one in state.json.")
        tensors = {name: read_tensors(path / f"{name}.safetensors") for name in state["files"]}
        return int(state["step"]), {name: (tensors.get(name, {}), held) for name, held in state["held"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        if isinstance(error, BadFile):
            raise
        raise BadFile(f"{path} is no whole checkpoint: {error}.") from error


def load_newest(folder: Path) -> tuple[int, dict[str, Packed], list[str]]:
    """The newest checkpoint that verifies, and what is wrong with each newer one.

    Raises:
        BadFile: if there is none.
    """
    damaged: list[str] = []
    for path in _newest_first(folder):
        try:
            return (*load(path), damaged)
        except BadFile as error:
            damaged.append(error.message)
    raise BadFile(f"{folder} holds no whole checkpoint." + "".join(f" {problem}" for problem in damaged))


def any_in(folder: Path) -> bool:
    """Whether a checkpoint was ever finished there."""
    return bool(_newest_first(folder))


def _name(step: int) -> str:
    return f"step-{step:09d}"


def _newest_first(folder: Path) -> list[Path]:
    return sorted(folder.glob("step-*"), reverse=True)


def _written(folder: Path, parts: Mapping[str, Mapping[str, Tensor]]) -> dict[str, str]:
    """Write a file for each part, and give its hash by its name. The processor hashes one and the disk is waited for
    while the next is written, the largest first: what takes longest should not begin last."""
    with ThreadPoolExecutor(2, "zoo-hash") as hashing, ThreadPoolExecutor(1, "zoo-sync") as syncing:
        hashes: dict[str, Future[str]] = {}
        syncs: list[Future[None]] = []
        for name, tensors in sorted(parts.items(), key=lambda part: -sum(one.nbytes for one in part[1].values())):
            path = folder / f"{name}.safetensors"
            save_file(apart(tensors), path)
            hashes[name] = hashing.submit(sha256_of, path)
            syncs.append(syncing.submit(sync, path))
        for synced in syncs:
            synced.result()
        return {name: hashes[name].result() for name in parts}
