"""Tensors out of a pickle, in a process of its own: python -m zoo_core.tools.unpickle FILE OUTPUT.

The one place where torch.load is called. It takes tensors and plain containers only (``weights_only=True``), and what
it writes is safetensors; the process that asked for it reads no pickle.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor


def main(path: str, output: str, key: str) -> None:
    with Path(path).open("rb") as file:  # given a name, torch.load goes by its ending
        held = torch.load(file, map_location="cpu", weights_only=True)  # noqa: TID251  # tensors only, and nowhere else
    for part in filter(None, key.split(".")):
        if not isinstance(held, Mapping) or part not in held:
            raise SystemExit(f"it has no '{part}'; it has {_names(held)}")
        held = held[part]
    if not isinstance(held, Mapping) or not all(isinstance(value, Tensor) for value in held.values()) or not held:
        raise SystemExit(f"it holds {_names(held)}; say which of them with --key")
    tensors = {str(name): tensor.detach().contiguous().clone() for name, tensor in held.items()}
    save_file(tensors, output)


def _names(held: Any) -> str:
    if not isinstance(held, Mapping):
        return f"a {type(held).__name__}"
    return ", ".join(f"'{name}' ({type(value).__name__})" for name, value in list(held.items())[:10]) or "nothing"


if __name__ == "__main__":
    try:
        main(*sys.argv[1:4])
    except Exception as error:  # what a file like this can raise has no end, and one line is what is wanted
        raise SystemExit(f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}") from None
