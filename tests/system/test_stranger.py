"""A stranger's wheel beside zoo, in an environment of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "zoo_autoencoder"


@pytest.fixture(scope="module")
def python(tmp_path_factory) -> Path:
    """The Python of a new environment that holds the stranger's wheel alone, and sees zoo through a .pth file."""
    place = tmp_path_factory.mktemp("stranger")
    subprocess.run([sys.executable, "-m", "venv", place / "venv"], check=True)
    interpreter = place / "venv" / "bin" / "python"
    (packages,) = (place / "venv" / "lib").glob("python*/site-packages")
    (packages / "zoo.pth").write_text(f"{sysconfig.get_paths()['purelib']}\n{_editable_root()}")
    wheels = place / "wheels"
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", wheels, EXAMPLE]
    subprocess.run(build, check=True)
    install = [interpreter, "-m", "pip", "install", "--quiet", "--no-deps", *wheels.glob("*.whl")]
    subprocess.run(install, check=True)
    return interpreter


@pytest.mark.slow
def test_a_strangers_wheel_is_listed_trained_and_loaded(python: Path, tmp_path: Path) -> None:
    assert "autoencoder-mnist" in [row["name"] for row in json.loads(_zoo(python, tmp_path, "list", "--json"))]
    assert "--resume" in _zoo(python, tmp_path, "run", "--help")

    _zoo(python, tmp_path, "run", "autoencoder-mnist", "dataset.source=subset", "run.epochs=1", "run.log_every=10")

    (folder,) = (tmp_path / "runs" / "autoencoder-mnist").iterdir()
    losses = [json.loads(line)["loss"] for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert losses[-1] < 0.8 * losses[0]
    load = f"import zoo_core as zoo; print(type(zoo.load({str(folder)!r})).__module__)"
    assert _python(python, tmp_path, "-c", load).strip() == "zoo_autoencoder.autoencoder"


def _editable_root() -> str:
    """The checkout, where zoo is installed in editable mode; nothing where it is installed as a wheel."""
    import zoo_core

    root = Path(zoo_core.__file__).parents[1]
    return "" if root == Path(sysconfig.get_paths()["purelib"]) else f"{root}\n"


def _zoo(python: Path, folder: Path, *arguments: str) -> str:
    return _python(python, folder, "-m", "zoo_core", *arguments)


def _python(python: Path, folder: Path, *arguments: str) -> str:
    environment = {**os.environ, "ZOO_HOME": str(folder / "home")}
    environment.pop("PYTHONPATH", None)
    done = subprocess.run([python, *arguments], cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout
