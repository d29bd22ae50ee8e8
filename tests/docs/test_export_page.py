"""docs/export.md shows the actual output, and its code runs."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import onnx
import pytest
from repository import ROOT
from warm_python import PYTHON

from zoo_core.tools.export.requirements import EXTENSIONS

PAGE = (ROOT / "docs" / "export.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def test_the_page_names_every_format() -> None:
    assert all(f"`{ending}`" in PAGE or ending in PAGE for ending in EXTENSIONS.values())


@pytest.mark.parametrize(
    ("containing", "file"),
    [pytest.param("onnxruntime", "unet-digit-scenes.onnx", marks=pytest.mark.long), ("torch", "scenes.pt2")],
)
def test_an_exported_file_runs_with_the_code_on_the_page(tmp_path: Path, containing: str, file: str) -> None:
    command = [PYTHON, "-m", "zoo_core", "export", "unet-digit-scenes", "-o", file]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    for line in ("input    image: float32 (batch, 1, height, width)", "dynamic  batch, height, width"):
        assert line in done.stdout
        assert line in PAGE
    (program,) = [block for block in BLOCKS if f"import {containing}\n" in block]
    assert len([line for line in program.splitlines() if line.strip()]) <= 5
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", f"{program}\nassert tuple(scores.shape) == (3, 11, 33, 70)"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert ran.returncode == 0, ran.stderr
    if file.endswith(".onnx"):
        metadata = {prop.key: json.loads(prop.value) for prop in onnx.load(str(tmp_path / file)).metadata_props}
        assert json.loads(ran.stdout) == metadata["zoo_export"]
        assert all(f"`{key}`" in PAGE for key in metadata["zoo_export"])
