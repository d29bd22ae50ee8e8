"""Write a program as a ``.pt2`` file. zoo never reads such files: torch.export.load may unpickle their contents."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch

from zoo_core.errors import BadFile
from zoo_core.tools.export.program import Traced


def write(traced: Traced, metadata: Mapping[str, str], path: Path) -> None:
    """Write the program, and each entry of ``metadata`` as a file ``NAME.json`` in the archive.

    The example inputs are left out: they are the only part that would be pickled.
    """
    traced.program.example_inputs = None
    extra = {f"{name}.json": text for name, text in metadata.items()}
    try:
        torch.export.save(traced.program, path, extra_files=extra)
    except (OSError, RuntimeError) as error:  # RuntimeError: torch's archive writer
        raise BadFile(f"{path} could not be written: {str(error).splitlines()[0]}.") from error
