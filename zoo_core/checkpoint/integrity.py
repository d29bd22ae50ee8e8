"""Whether a checkpoint is as it was written: the SHA-256 of every file, and the step in its name."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zoo_core.checkpoint.names import name_of
from zoo_core.errors import BadFile, one_line
from zoo_core.files import sha256_of, stat_regular, sync

FORMAT = 2
STATE = "state.json"
_CHECKSUMS = "SHA256SUMS"  # in the format of `sha256sum --check`
_LINE = re.compile(r"([0-9a-f]{64})  ([^/\n]+)")
_MAX_BYTES = 2**20  # of the checksums
_DAMAGE = (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError)  # what reading one may raise


def write_checksums(folder: Path, checksums: Mapping[str, str]) -> None:
    """Write the SHA-256 of each file of ``folder`` by its name, and wait until it is on the disk."""
    path = folder / _CHECKSUMS
    path.write_bytes("".join(f"{checksum}  {name}\n" for name, checksum in sorted(checksums.items())).encode())
    sync(path)


def read_verified(path: Path) -> dict[str, Any]:
    """The content of ``state.json`` of the checkpoint ``path``, after verifying the SHA-256 of every file.

    Raises:
        BadFile: if a file is missing, not a regular file, modified, or of another format.
    """
    try:
        verified = _verify_checksums(path)
        state: dict[str, Any] = json.loads((path / STATE).read_bytes())
        found = state["format"]
        name, files = name_of(state["step"]), {STATE, *(f"{name}.safetensors" for name in state["files"])}
        dict(state["held"].items())
    except _DAMAGE as error:
        if isinstance(error, BadFile):
            raise
        raise BadFile(f"{path} is not a complete checkpoint: {one_line(str(error))}.") from error
    if found != FORMAT:
        raise BadFile(f"{path} has format {one_line(str(found))}, but this version of zoo reads {FORMAT}.")
    if (path.name, verified) != (name, files):
        raise BadFile(
            f"{path} is not a complete checkpoint: its files are those of another one, of step {state['step']}."
        )
    return state


def _verify_checksums(folder: Path) -> set[str]:
    """The names of the files of ``folder``, after verifying the SHA-256 of each."""
    path = folder / _CHECKSUMS
    stat_regular(path)
    with path.open("rb") as file:
        text = file.read(_MAX_BYTES).decode()
    lines = text.removesuffix("\n").split("\n")
    matches = [match for line in lines if (match := _LINE.fullmatch(line))]
    if len(matches) < len(lines) or not text.endswith("\n"):
        raise BadFile(f"{path} is damaged: it should have the SHA-256 and the name of a file in each line.")
    for match in matches:
        stat_regular(folder / match[2])
        if sha256_of(folder / match[2]) != match[1]:
            raise BadFile(f"{folder / match[2]} is damaged: its SHA-256 is not the one in {_CHECKSUMS}.")
    return {match[2] for match in matches}
