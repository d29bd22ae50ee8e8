"""The command line: light where it lists, two lines where something is wrong, exit code 2 for the user's mistake."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = ("torch", "torchvision", "numpy", "accelerate", "rich", "tensorboard")


def zoo(*words: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "zoo_core", *words]
    return subprocess.run(
        command, cwd=folder, env={**os.environ, **environment}, capture_output=True, text=True, timeout=120
    )


@pytest.mark.parametrize(
    "words", [["list"], ["list", "models"], ["plugins"], ["--help"], ["--version"], ["info", "clsgan-mnist"]]
)
def test_listing_and_help_import_nothing_heavy(words: list[str], tmp_path: Path) -> None:
    script = (
        "import sys\nfrom zoo_core.cli import _exit_code\n"
        f"assert _exit_code({words!r}) == 0\n"
        f"assert not set(sys.modules) & set({HEAVY!r}), set(sys.modules) & set({HEAVY!r})"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True)

    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_importing_zoo_imports_nothing_heavy() -> None:
    script = f"import sys, zoo_core; assert not set(sys.modules) & set({HEAVY!r})"

    subprocess.run([sys.executable, "-c", script], check=True)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["run", "clsgan-mnits"], ["no recipe is called 'clsgan-mnits'", "Did you mean 'clsgan-mnist'?"]),
        (["run", "clsgan-mnist", "trainer.avraging=1"], ["trainer.avraging", "'trainer.averaging'"]),
        (["run", "clsgan-mnist", "trainer.averaging=fast"], ["trainer.averaging is 'fast'", "should be a float"]),
        (["run", "clsgan-mnist", "model.name=clsgna"], ["no model is called 'clsgna'", "'clsgan'"]),
        (["run", "clsgan-mnist", "averaging=1"], ["'averaging' is no setting", "'trainer.averaging'"]),
        (["run", "clsgan-mnist", "run.steps=-1"], ["run.steps is -1", "at least 0"]),
        (["run", "clsgan-mnist", "run.steps=null"], ["either run.steps or run.epochs", "run.steps=1000"]),
        (["run", "clsgan-mnist", "--device", "abacus"], ["run.device is 'abacus'", "--device cpu"]),
        (["run", "clsgan-mnist", "--registry", "none.yaml"], ["none.yaml could not be read"]),
        (["run", "clsgan-mnist", "--folder", "taken"], ["taken is there already", "--resume taken"]),
        (["run", "clsgan-mnist", "--folder", "file/run"], ["file/run could not be made"]),
        (["run", "--resume", "taken"], ["taken is no run's folder"]),
        (["run", "mine"], ["registry.yaml:4: trainer.averaging is 'much'"]),
        (["predict", "clsgan-mnist", "-o", "a.png"], ["no finished run", "zoo run clsgan-mnist"]),
        (["predict", "digit-classifier-mnist", "-o", "a.xyz", "image=a.png"], ["a.png could not be read"]),
        (["predict", "digit-classifier-mnist", "picture=a.png"], ["unexpected", "It takes: image."]),
        (["info", "clsgna"], ["nothing is called 'clsgna'", "clsgan"]),
        (["list", "modles"], ["there are no 'modles'", "models"]),
    ],
)
def test_a_mistake_is_two_lines_and_leaves_nothing_behind(
    words: list[str], expected: list[str], tmp_path: Path
) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "file").write_text("")
    (tmp_path / "registry.yaml").write_text(
        "recipes:\n  mine:\n    extends: clsgan-mnist\n    trainer: {averaging: much}\n"
    )
    before = sorted(tmp_path.rglob("*"))

    done = zoo(*words, folder=tmp_path)

    assert done.returncode == 2, done.stderr
    lines = done.stderr.strip().splitlines()
    assert lines[0].startswith("error: ")
    assert len(lines) <= 2, done.stderr
    assert [part for part in expected if part not in done.stderr] == []
    assert sorted(tmp_path.rglob("*")) == before


def test_a_traceback_is_shown_to_who_asks(tmp_path: Path) -> None:
    assert "Traceback" in zoo("run", "clsgan-mnits", "--traceback", folder=tmp_path).stderr
    assert "Traceback" in zoo("run", "clsgan-mnits", folder=tmp_path, ZOO_TRACEBACK="1").stderr


def test_tables_come_as_json_too(tmp_path: Path) -> None:
    recipes = json.loads(zoo("list", "--json", folder=tmp_path).stdout)
    plugins = json.loads(zoo("plugins", "--json", folder=tmp_path).stdout)
    model = json.loads(zoo("info", "clsgan", "--json", folder=tmp_path).stdout)["model"]

    assert {"name": "clsgan-mnist", "plugin": "zoo"}.items() <= next(
        row for row in recipes if row["name"] == "clsgan-mnist"
    ).items()
    assert {"clsgan", "classifier", "datasets", "zoo"} <= {row["name"] for row in plugins}
    assert model["parameters"] == 1_523_024 + 626_625
    assert {"name", "type", "default", "help", "required"} == set(model["settings"][0])


def test_a_printed_config_is_complete_and_can_be_run_again(tmp_path: Path) -> None:
    printed = zoo("run", "clsgan-mnist", "run.seed=7", "--print-config", folder=tmp_path).stdout
    (tmp_path / "config.yaml").write_text(printed)

    assert "latent_dim: 96" in printed
    assert zoo("run", "--config", "config.yaml", "--print-config", folder=tmp_path).stdout == printed
    assert not (tmp_path / "runs").exists()


def test_the_shell_completes_recipe_names(tmp_path: Path) -> None:
    asked = {"_ZOO_COMPLETE": "bash_complete", "COMP_WORDS": "zoo run clsgan-mnist-r", "COMP_CWORD": "2"}
    script = "import sys; sys.argv[0] = 'zoo'; from zoo_core.cli import cli; cli.main(prog_name='zoo')"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, env={**os.environ, **asked}, capture_output=True, text=True
    )

    assert done.stdout.strip() == "plain,clsgan-mnist-reference"
