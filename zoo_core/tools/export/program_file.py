"""A ``.pt2`` file of a program. It is written and never read here: torch.export.load may unpickle what it finds."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch

from zoo_core.errors import BadFile
from zoo_core.tools.export.program import Traced


def write(traced: Traced, notes: Mapping[str, str], path: Path) -> None:
    """Write the program with ``notes`` beside it, each as a file ``NAME.json`` in the archive.

    The example it was followed with is left out: it is all that would be pickled.
    """
    traced.program.example_inputs = None
    extra = {f"{name}.json": text for name, text in notes.items()}
    try:
        torch.export.save(traced.program, path, extra_files=extra)
    except (OSError, RuntimeError) as error:  # RuntimeError: torch's archive writer
        raise BadFile(f"{path} could not be written: {str(error).splitlines()[0]}.") from error
