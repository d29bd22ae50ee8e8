"""Checkpoint folders: written atomically with checksums; a run resumes from the newest one that verifies."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Collection, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from zoo_core.checkpoint.integrity import FORMAT, STATE, read_verified, write_checksums
from zoo_core.checkpoint.names import name_of, steps_in
from zoo_core.checkpoint.retention import Retention
from zoo_core.checkpoint.serialize import Packed
from zoo_core.errors import BadFile
from zoo_core.files import removed_at_exit, set_aside, sha256_of, sync
from zoo_core.weights.format import read_tensors, without_shared_memory


def save(
    folder: Path,
    step: int,
    packed: Mapping[str, Packed],
    retention: Retention,
    protected: Collection[int] = (),
    sync_first: Collection[Path] = (),
) -> Path:
    """Write ``folder/step-000001000`` atomically, then delete the checkpoints that it makes superfluous.

    Those of the ``protected`` steps are kept. The files ``sync_first`` are on the disk before the checkpoint is.

    Raises:
        BadFile: if the checkpoint cannot be written; earlier ones are left unchanged.
    """
    final = folder / name_of(step)
    aside = folder / f".{final.name}.{os.getpid()}"
    for unfinished in folder.glob(".step-*"):  # left by a process that was killed while saving
        shutil.rmtree(unfinished, ignore_errors=True)
    try:
        folder.mkdir(exist_ok=True)
        with removed_at_exit(aside):
            aside.mkdir()
            _write_files(aside, step, packed)
            for file in sync_first:
                if file.is_file():
                    sync(file)
            retention.make_way(final)
            aside.rename(final)
        sync(folder)
        retention.written(final, step, protected)
    except (OSError, ValueError, SafetensorError) as error:  # ValueError: an integer of more than 4300 digits
        shutil.rmtree(aside, ignore_errors=True)
        reason = getattr(error, "strerror", None) or error
        raise BadFile(f"the checkpoint of step {step} could not be written to {folder}: {reason}.") from error
    return final


def load(path: Path) -> tuple[int, dict[str, Packed]]:
    """The step and the state of a checkpoint, after verifying the SHA-256 of every file.

    Each tensor has memory of its own, as aligned as that of a new one: operations such as dot products may round
    differently at another alignment, such as that of a mapped file.

    Raises:
        BadFile: if a file is missing, modified, or of another format.
    """
    state = read_verified(path)
    held: dict[str, Any] = state["held"]
    tensors = {
        name: {key: tensor.clone() for key, tensor in read_tensors(path / f"{name}.safetensors").items()}
        for name in state["files"]
    }
    return int(state["step"]), {name: (tensors.get(name, {}), structure) for name, structure in held.items()}


def load_newest(folder: Path) -> tuple[int, dict[str, Packed], dict[Path, str]]:
    """Step and state of the newest checkpoint that verifies, and what is wrong with each newer one.

    Raises:
        BadFile: if no checkpoint verifies.
    """
    damaged: dict[Path, str] = {}
    for step in reversed(steps_in(folder)):
        path = folder / name_of(step)
        try:
            return (*load(path), damaged)
        except BadFile as error:
            damaged[path] = error.message
    raise BadFile(
        f"{folder} holds no complete checkpoint." + "".join(f" {message}" for message in damaged.values()),
        f"To start the run again at step 0, delete {folder}.",
    )


def set_damaged_aside(damaged: Mapping[Path, str], step: int) -> list[str]:
    """Rename the damaged checkpoints that ``load_newest`` found, so that they no longer count; a message for each."""
    return [
        f"{message} The run resumes from step {step}; the damaged checkpoint is kept as {set_aside(path).name}."
        for path, message in damaged.items()
    ]


def _write_files(folder: Path, step: int, packed: Mapping[str, Packed]) -> None:
    checksums = _write_tensors(folder, {name: tensors for name, (tensors, _) in packed.items() if tensors})
    held = {name: structure for name, (_, structure) in packed.items()}
    state = {"format": FORMAT, "step": step, "files": sorted(checksums), "held": held}
    (folder / STATE).write_text(json.dumps(state, allow_nan=False) + "\n", encoding="utf-8")
    sync(folder / STATE)
    of_tensors = {f"{name}.safetensors": checksum for name, checksum in checksums.items()}
    write_checksums(folder, {**of_tensors, STATE: sha256_of(folder / STATE)})
    sync(folder)


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
