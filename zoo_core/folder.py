"""Where things lie on disk: zoo's home, the data root, and the folder of a run."""

from __future__ import annotations

import json
import os
from datetime import datetime
from pathlib import Path
from typing import Any

import platformdirs

from zoo_core.errors import BadFile, NameTaken

RUNS = Path("runs")


def zoo_home() -> Path:
    """``$ZOO_HOME``, or the user's data folder by the platform's convention."""
    return Path(os.environ.get("ZOO_HOME") or platformdirs.user_data_path("zoo"))


def data_root() -> Path:
    """Where data sets lie: ``$ZOO_DATA``, else ``$ZOO_HOME/data``, else the user's data folder."""
    return Path(os.environ.get("ZOO_DATA") or zoo_home() / "data")


def weights_folder() -> Path:
    """Where fetched weights are kept: ``$ZOO_HOME/weights``."""
    return zoo_home() / "weights"


class RunFolder:
    """The layout of one run. See docs/runs-on-disk.md."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config = path / "config.yaml"
        self.environment = path / "environment.json"
        self.metrics = path / "metrics.jsonl"
        self.previews = path / "previews"
        self.checkpoints = path / "checkpoints"
        self.weights = path / "model.safetensors"
        self._made: list[Path] = []

    def create(self) -> None:
        """Make the folder.

        Raises:
            NameTaken: if it is there already: a run never overwrites another.
            BadFile: if it cannot be made.
        """
        try:
            self._made = [place for place in (self.path, *self.path.parents) if not place.exists()]
            self.path.mkdir(parents=True)
        except FileExistsError:
            raise NameTaken(
                f"the run folder {self.path} is there already, and a run never overwrites another.",
                f"Choose another --folder, or go on with it: zoo run --resume {self.path}",
            ) from None
        except OSError as error:
            raise BadFile(
                f"the run folder {self.path} could not be made: {error.strerror}.", "Choose another --folder."
            ) from error

    def remove_if_empty(self) -> None:
        """Leave nothing of a run that never began, nor of the folders made for it."""
        for file in (self.config, self.environment):
            file.unlink(missing_ok=True)
        for place in self._made:
            if not place.is_dir() or any(place.iterdir()):
                return
            place.rmdir()

    def write_environment(self, environment: dict[str, Any]) -> None:
        self.environment.write_text(json.dumps(environment, indent=2) + "\n", encoding="utf-8")

    def read_environment(self) -> dict[str, Any]:
        """What ``write_environment`` wrote.

        Raises:
            BadFile: if it can't be read.
        """
        try:
            found: dict[str, Any] = json.loads(self.environment.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise BadFile(f"{self.environment} can't be read: {error}.") from error
        return found


def new_run_path(recipe: str) -> Path:
    """``runs/RECIPE/2026-11-24T02-15-33``, with a number behind it if two runs start in one second."""
    stamp = datetime.now().strftime("%Y-%m-%dT%H-%M-%S")
    path, number = RUNS / recipe / stamp, 1
    while path.exists():
        number += 1
        path = RUNS / recipe / f"{stamp}-{number}"
    return path


def newest_run(recipe: str) -> Path | None:
    """The newest run of ``recipe`` below the working folder that has a result."""
    finished = [path.parent for path in (RUNS / recipe).glob("*/model.safetensors")]
    return max(finished, key=lambda path: (path / "model.safetensors").stat().st_mtime, default=None)
