"""Checkpoint folders: written atomically with checksums; a run resumes from the newest one that verifies."""

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
from zoo_core.weights.format import read_tensors, without_shared_memory

FORMAT = 1


def save(folder: Path, step: int, packed: Mapping[str, Packed], keep: int, protected: Collection[int] = ()) -> Path:
    """Write ``folder/step-000001000`` atomically, then delete all but the newest ``keep`` and the ``protected`` steps.

    Raises:
        BadFile: if the checkpoint cannot be written; earlier ones are left unchanged.
    """
    final = folder / _name(step)
    aside = folder / f".{final.name}.{os.getpid()}"
    for unfinished in folder.glob(".step-*"):  # left by a process that was killed while saving
        shutil.rmtree(unfinished, ignore_errors=True)
    try:
        folder.mkdir(exist_ok=True)
        aside.mkdir()
        files = _write_tensors(aside, {name: tensors for name, (tensors, _) in packed.items() if tensors})
        held = {name: structure for name, (_, structure) in packed.items()}
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
    kept = {final.name, *map(_name, protected)}
    for old in [path for path in _newest_first(folder) if path.name not in kept][keep - 1 :]:
        shutil.rmtree(old, ignore_errors=True)  # one that can't be deleted now is deleted after the next save
    return final


def load(path: Path) -> tuple[int, dict[str, Packed]]:
    """The step and the state of a checkpoint, after verifying the SHA-256 of every file.

    Raises:
        BadFile: if a file is missing, modified, or of another format.
    """
    try:
        state = json.loads((path / "state.json").read_text(encoding="utf-8"))
        if state["format"] != FORMAT:
            raise BadFile(f"{path} has format {state['format']}, but this version of zoo reads {FORMAT}.")
        for name, expected in state["files"].items():
            if sha256_of(path / f"{name}.safetensors") != expected:
                raise BadFile(f"{path / name}.safetensors is damaged: its sha256 is not the one in state.json.")
        tensors = {name: read_tensors(path / f"{name}.safetensors") for name in state["files"]}
        return int(state["step"]), {name: (tensors.get(name, {}), held) for name, held in state["held"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        if isinstance(error, BadFile):
            raise
        raise BadFile(f"{path} is not a complete checkpoint: {error}.") from error


def load_newest(folder: Path) -> tuple[int, dict[str, Packed], list[str]]:
    """Step and state of the newest checkpoint that verifies, and the error messages of the newer ones.

    Raises:
        BadFile: if no checkpoint verifies.
    """
    damaged: list[str] = []
    for path in _newest_first(folder):
        try:
            return (*load(path), damaged)
        except BadFile as error:
            damaged.append(error.message)
    raise BadFile(f"{folder} holds no complete checkpoint." + "".join(f" {message}" for message in damaged))


def any_in(folder: Path) -> bool:
    """Whether the folder contains a checkpoint."""
    return bool(_newest_first(folder))


def _name(step: int) -> str:
    return f"step-{step:09d}"


def _newest_first(folder: Path) -> list[Path]:
    return sorted(folder.glob("step-*"), reverse=True)


def _write_tensors(folder: Path, parts: Mapping[str, Mapping[str, Tensor]]) -> dict[str, str]:
    """Write one file per part, and return the SHA-256 of each by its name.

    Files are hashed and synced in other threads while the next one is written; the largest comes first, so that its
    hash does not finish last.
    """
    with ThreadPoolExecutor(2, "zoo-hash") as hashing, ThreadPoolExecutor(1, "zoo-sync") as syncing:
        hashes: dict[str, Future[str]] = {}
        syncs: list[Future[None]] = []
        for name, tensors in sorted(parts.items(), key=lambda part: -sum(one.nbytes for one in part[1].values())):
            path = folder / f"{name}.safetensors"
            save_file(without_shared_memory(tensors), path)
            hashes[name] = hashing.submit(sha256_of, path)
            syncs.append(syncing.submit(sync, path))
        for synced in syncs:
            synced.result()
        return {name: hashes[name].result() for name in parts}
