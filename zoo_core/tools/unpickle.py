"""Extract the tensors from a pickle in a separate process: python -m zoo_core.tools.unpickle FILE OUTPUT KEY.

This is the only place that calls torch.load. It loads tensors and plain containers only (``weights_only=True``) and
writes a safetensors file; the calling process reads no pickle.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor


def main(path: str, output: str, key: str) -> None:
    with Path(path).open("rb") as file:  # given a path, torch.load chooses a format by the file extension
        content = torch.load(file, map_location="cpu", weights_only=True)  # noqa: TID251  # tensors only
    for part in filter(None, key.split(".")):
        if not isinstance(content, Mapping) or part not in content:
            raise SystemExit(f"it has no '{part}'; it has {_describe(content)}")
        content = content[part]
    is_mapping = isinstance(content, Mapping)
    if not is_mapping or not content or not all(isinstance(value, Tensor) for value in content.values()):
        raise SystemExit(f"it contains {_describe(content)}; select the state dict with --key")
    tensors = {str(name): tensor.detach().contiguous().clone() for name, tensor in content.items()}
    save_file(tensors, output)


def _describe(content: Any) -> str:
    if not isinstance(content, Mapping):
        return f"a value of type {type(content).__name__}"
    return ", ".join(f"'{name}' ({type(value).__name__})" for name, value in list(content.items())[:10]) or "nothing"


def _why(error: Exception) -> str:
    """One line. That of PyTorch for other objects than tensors begins with the advice to load them nevertheless."""
    text = str(error)
    if "weights_only" in text or "Weights only" in text:
        found = re.search(r"(?:GLOBAL|global|class|type) '?([A-Za-z_][\w.]*\.[\w.]*\w)", text)
        what = f"'{found[1]}'" if found else "something else"
        return f"{type(error).__name__}: Weights only load failed: it contains {what}, which is no tensor"
    return f"{type(error).__name__}: {text.splitlines()[0] if text else ''}"


if __name__ == "__main__":
    try:
        main(*sys.argv[1:4])
    except Exception as error:  # a malformed file can raise anything; the caller prints one line
        raise SystemExit(_why(error)) from None
