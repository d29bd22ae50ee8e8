"""Looking around is quick: the commands that only read names import nothing heavy."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

HEAVY = {"torch", "torchvision", "numpy", "accelerate", "optuna", "matplotlib", "onnx", "onnxruntime", "gradio"}
# One process imports the command line; each command then runs in a fork of it, which has imported nothing else.
PROGRAM = """
import json, os, sys
from pathlib import Path
from zoo_core.cli import _exit_code

for number, words in enumerate(json.load(sys.stdin)):
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        continue
    os.chdir(str(number))
    for descriptor, name in ((1, "../{}.out"), (2, "../{}.err")):
        os.dup2(os.open(name.format(number), os.O_WRONLY | os.O_CREAT), descriptor)
    code = _exit_code(words)
    sys.stdout.flush()
    Path(f"../{number}.json").write_text(json.dumps({"code": code, "modules": sorted(sys.modules)}))
    os._exit(0)
"""


@dataclass
class Done:
    """How a command ended, what it printed, what it imported, and the folder it ran in."""

    code: int
    modules: set[str]
    stdout: str
    stderr: str
    folder: Path


def run_all(place: Path, commands: list[list[str]]) -> list[Done]:
    """Each command in an empty folder and with its own imported modules."""
    for number, _ in enumerate(commands):
        (place / str(number)).mkdir(exist_ok=True)
    typed = {"input": json.dumps(commands), "text": True, "capture_output": True, "timeout": 300}
    done = subprocess.run([sys.executable, "-c", PROGRAM], cwd=place, check=False, **typed)
    assert (done.returncode, done.stderr) == (0, "")
    return [_done(place, number) for number, _ in enumerate(commands)]


def _done(place: Path, number: int) -> Done:
    told = json.loads((place / f"{number}.json").read_text())
    said = [(place / f"{number}.{stream}").read_text() for stream in ("out", "err")]
    return Done(told["code"], set(told["modules"]), *said, place / str(number))


def run_one(place: Path, words: list[str]) -> Done:
    return run_all(place, [words])[0]


LIGHT = [
    (["--help"], "Train a recipe."),
    (["--version"], "zoo "),
    (["list"], "clsgan-mnist"),
    (["list", "recipes", "--json"], '"clsgan-mnist"'),
    (["list", "models"], "digit-classifier"),
    (["list", "trainers"], "clsgan"),
    (["list", "datasets"], "mnist"),
    (["list", "weights"], ""),
    (["weights", "list"], "digit-classifier-mnist"),
    (["weights", "--help"], "publish"),
    (["weights", "remove", "--help"], "downloaded"),
    (["eval", "--help"], "--tolerance"),
    (["reproduce", "--help"], "--folder"),
    (["list", "plugins"], "zoo-core"),
    (["list", "--tag", "gan"], "gan-mnist"),
    (["search", "gan"], "gan-mnist"),
    (["plugins"], "zoo-core"),
    (["plugins", "show", "unet"], "unet"),
    (["top", "--once"], "no runs in"),
    (["info", "clsgan-mnist"], "run.steps"),
    (["info", "clsgan-mnist", "--json"], '"run.steps"'),
    (["info", "next-frame"], "max_grad_norm"),
    (["info", "mnist"], "subset"),
    (["run", "--help"], "--resume"),
    (["run", "clsgan-mnist", "--print-config"], "latent_dim: 96"),
    (["run", "clsgan-mnist", "trainer.betas=[0.5, 0.9]", "--print-config"], "- 0.9"),
    (["run", "unet-moving-mnist", "--print-config"], "frames_in: 10"),
    (["sweep", "--help"], "--metric"),
    (["predict", "--help"], "--output"),
    (["export", "--help"], "--tolerance"),
    (["bench", "--help"], "--predict"),
    (["demo", "--help"], "--no-browser"),
]
MISTAKES = [
    (["run", "clsgan-mnits"], "Did you mean 'clsgan-mnist'?"),
    (["run", "clsgan-mnist", "trainer.los=1"], "Did you mean 'trainer.loss'?"),
    (["run", "clsgan-mnist", "model.latent_dim=many"], "should be an int"),
    (["run", "unet-masks"], "dataset.folder is missing"),
]


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Done]:
    """All the commands below, run by one process."""
    commands = [words for words, _ in (*LIGHT, *MISTAKES)]
    ended = run_all(tmp_path_factory.mktemp("light"), commands)
    return {" ".join(words): one for words, one in zip(commands, ended, strict=True)}


@pytest.mark.parametrize(("words", "shows"), LIGHT, ids=" ".join)
def test_a_command_that_reads_names_imports_nothing_heavy(done: dict[str, Done], words: list[str], shows: str) -> None:
    told = done[" ".join(words)]
    assert told.code == 0, told.stderr
    assert shows in told.stdout
    assert (HEAVY | {"omegaconf"}) & told.modules == set()


def test_a_run_with_previews_does_without_torchvision(tmp_path: Path) -> None:
    words = [
        "run",
        "gan-mnist",
        "dataset.source=subset",
        "run.steps=2",
        "run.preview_every=1",
        "trainer.eval_classifier=null",
    ]
    told = run_one(tmp_path, [*words, "--folder", "here"])
    assert told.code == 0, told.stderr
    assert "torchvision" not in told.modules
    assert (told.folder / "here" / "previews" / "step-000002.png").is_file()


def test_info_of_a_weights_file_reads_its_header_without_torch(tmp_path: Path) -> None:
    import torch

    from zoo_core.weights.format import write

    write(tmp_path / "a.safetensors", {"w": torch.zeros(2, 3)}, {"model": "line", "config": {"inputs": 3}})
    told = run_one(tmp_path, ["info", "../a.safetensors"])
    assert (told.code, told.stdout.splitlines()[0]) == (0, "file ../a.safetensors: model 'line'")
    assert {"torch", "torchvision", "accelerate"} & told.modules == set()


def test_importing_zoo_imports_nothing_heavy() -> None:
    program = "import sys, zoo_core as zoo; zoo.list(); zoo.hookimpl; zoo.Registry; zoo.setting; zoo.ZooError; "
    program += "print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120)
    assert HEAVY & set(done.stdout.split()) == set()


@pytest.mark.parametrize(("words", "told"), MISTAKES, ids=" ".join)
def test_a_mistake_in_a_setting_is_told_without_the_seconds_that_torch_takes(
    done: dict[str, Done], words: list[str], told: str
) -> None:
    ended = done[" ".join(words)]
    assert ended.code == 2
    assert told in " ".join(ended.stderr.splitlines())
    assert HEAVY & ended.modules == set()
    assert not list(ended.folder.iterdir())
