"""What a run imports is time and memory of every run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PROGRAM = """
import sys
from zoo_core.cli import main
try: main(sys.argv[1:])
finally: print("torchvision" in sys.modules)
"""


def test_a_run_with_previews_does_without_torchvision(tmp_path: Path) -> None:
    words = ["run", "gan-mnist", "dataset.source=subset", "run.steps=2", "run.preview_every=1", "trainer.judge=null"]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *words, "--folder", "here"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    assert done.stdout.splitlines()[-1] == "False"
    assert (tmp_path / "here" / "previews" / "step-000002.png").is_file()
