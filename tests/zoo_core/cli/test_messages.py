"""What a mistake gets: exit code 2, one or two lines that say what to type, and nothing on disk."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from zoo_core.cli import _exit_code
from zoo_core.registry import catalog

RECIPE = "clsgan-mnist"
MINE = "recipes:\n  mine:\n    extends: clsgan-mnist\n"


@dataclass
class Said:
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.err.splitlines()


Zoo = Callable[..., Said]


@pytest.fixture
def zoo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Zoo:
    """The command ``zoo`` in an empty working folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ZOO_TRACEBACK", "")  # --traceback sets it
    catalog.default.cache_clear()

    def zoo(*words: str) -> Said:
        code = _exit_code(list(words))
        return Said(code, *capsys.readouterr())

    return zoo


def assert_a_mistake(said: Said, problem: str, hint: str = "") -> None:
    assert said.code == 2, said
    assert said.out == ""
    assert "Traceback" not in said.err
    assert 1 <= len(said.lines) <= 2, said.err
    assert said.lines[0].startswith("error: ")
    assert problem in said.lines[0]
    assert hint in "".join(said.lines[1:])
    assert bool(hint) <= (len(said.lines) == 2)


@pytest.mark.parametrize(
    ("words", "problem", "hint"),
    [
        (["clsgan-mnits"], "no recipe is called 'clsgan-mnits'.", "Did you mean 'clsgan-mnist'?"),
        (["zzz"], "no recipe is called 'zzz'.", "`zoo list` shows all"),
        (["nobody/clsgan-mnist"], "no recipe is called 'nobody/clsgan-mnist'.", "Did you mean 'clsgan-mnist'?"),
        ([RECIPE, "trainer.averagin=0.9"], "trainer.averagin: trainer 'clsgan' has no such", "'trainer.ema_decay'?"),
        ([RECIPE, "dataset.sauce=full"], "dataset.sauce: dataset 'mnist' has no such setting", "'dataset.source'?"),
        ([RECIPE, "run.batchsize=3"], "run.batchsize: recipe 'clsgan-mnist' has no such", "'run.batch_size'?"),
        ([RECIPE, "batch_size=3"], "'batch_size' is no setting of a recipe.", "Did you mean 'run.batch_size'?"),
        ([RECIPE, "model.name=clsgam"], "model.name: no model is called 'clsgam'.", "Did you mean 'clsgan'?"),
        ([RECIPE, "dataset.name=mnits"], "dataset.name: no dataset is called 'mnits'.", "Did you mean 'mnist'?"),
        ([RECIPE, "latent_dim=64"], "'latent_dim' is no setting of a recipe.", "Did you mean 'model.latent_dim'?"),
        ([RECIPE, "model.name=7"], "model.name is 7, but should be text.", "`zoo list models`"),
        ([RECIPE, "run.device=0"], "run.device is 0, but should be a str (", "with both pairs of quotes"),
        ([RECIPE, "run.steps=1e4"], "run.steps is 10000.0, but should be an int or null", "`run.steps=10000`"),
        ([RECIPE, "model.name=null"], "recipe 'clsgan-mnist' names no model.", "see `zoo list models`"),
        ([RECIPE, "trainer.ema_decay=much"], "trainer.ema_decay is 'much', but should be a float (", ""),
        ([RECIPE, "trainer.ema_decay="], "trainer.ema_decay is null, but should be a float (", ""),
        ([RECIPE, "trainer.betas.x=5"], "trainer.betas is {x: 5}, but should be a list of 2 float", ""),
        ([RECIPE, "trainer.betas=[null, true]"], "trainer.betas is [null, true], but should be a list of 2 float", ""),
        ([RECIPE, "summary.of=it"], "command line: summary is {of: 'it'}, but should be text.", ""),
        ([RECIPE, "summary=5"], "command line: summary is 5, but should be text.", "Put it in quotes."),
        ([RECIPE, "trainer.loss=crossentropy"], "should be one of least-squares, cross-entropy", "'cross-entropy'?"),
        ([RECIPE, "run.batch_size=64.0"], "run.batch_size is 64.0, but should be an int", "`run.batch_size=64`"),
        ([RECIPE, "run.batch_size=0"], "run.batch_size is 0, but should be at least 1", ""),
        ([RECIPE, "run.epochs=inf"], "run.epochs is 'inf', but should be finite", ""),
        ([RECIPE, "run.steps=null"], "should give either run.steps or run.epochs.", "Add `run.steps=1000`."),
        ([RECIPE, "run.steps=${oc.env:HOME}"], "run.steps is '${oc.env:HOME}', but recipes do not", "Write the value"),
        ([RECIPE, "run.steps=["], "the value of 'run.steps=[' is not YAML: ", "Quote it for the shell"),
        ([RECIPE, "run.steps"], "'run.steps' should be key=value.", "Write for example"),
        ([RECIPE, "run.device=cuda:99"], "run.device is 'cuda:99', but this machine has cpu", "Write `--device cpu`"),
        ([RECIPE, "--device", "toaster"], "run.device is 'toaster', but this machine has", "Write `--device cpu`"),
        (["--config", "none.yaml"], "none.yaml could not be read: No such file or directory.", ""),
        (["--resume", "nowhere"], "nowhere is no run's folder: it holds no config.yaml.", "`ls runs`"),
        (["--resume", "a", "--folder", "b"], "a resumed run stays in its folder", "Leave it out."),
        ([RECIPE, "--registry", "none.yaml"], "none.yaml could not be read: No such file or directory.", ""),
        ([], "give one of RECIPE, --config FILE and --resume RUN_DIR", "--help"),
        ([RECIPE, "--config", "x.yaml"], "give one of RECIPE, --config FILE and --resume RUN_DIR", "--help"),
        ([RECIPE, "--devise", "cpu"], "--devise", "--help"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_run_with_a_mistake_says_what_to_type_and_leaves_nothing(
    zoo: Zoo, tmp_path: Path, words: list[str], problem: str, hint: str
) -> None:
    assert_a_mistake(zoo("run", *words), problem, hint)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "problem", "hint"),
    [
        ("recipes: [\n", "registry.yaml:2: this is not YAML", ""),
        ("5\n", "registry.yaml holds a single value", ""),
        ("recipes:\n  mine: {}\n  mine: {}\n", "registry.yaml:3: this is not YAML: found duplicate key mine.", ""),
        ("recipies: {}\n", "registry.yaml:1: a registry has no section 'recipies'.", "Did you mean 'recipes'?"),
        ("recipes:\n  2026: {}\n", "registry.yaml:2: 2026 is no name", "Put a number in quotes."),
        ("recipes:\n  mine: {extends: mine}\n", "registry.yaml:2: recipe 'mine' extends itself: mine → mine", "Leave"),
        ("recipes:\n  mine: {extends: nowhere}\n", "registry.yaml:2: no recipe is called 'nowhere', which 'mine'", " "),
        (
            "recipes:\n  mine: {extends: [a, b]}\n",
            "registry.yaml:2: extends is ['a', 'b'], but should be the name",
            "two",
        ),
        (f"{MINE}    modle: {{}}\n", "registry.yaml:4: recipe 'mine' has no part 'modle'.", "Did you mean 'model'?"),
        (f"{MINE}    model: clsgan\n", "registry.yaml:4: model is 'clsgan', but should be a mapping.", "{name: …}"),
        (f"{MINE}    model: {{name: clsgam}}\n", "registry.yaml:4: model.name: no model is called", "'clsgan'?"),
        (f"{MINE}    run: {{step: 3}}\n", "registry.yaml:4: run.step: recipe 'mine' has no such", "'run.steps'?"),
        (f"{MINE}    run:\n      steps: many\n", "registry.yaml:5: run.steps is 'many', but should be an int or", ""),
        (f"{MINE}    run:\n      steps: -1\n", "registry.yaml:5: run.steps is -1, but should be at least 0", ""),
    ],
)
def test_a_mistake_in_a_registry_file_names_the_file_and_the_line(
    zoo: Zoo, tmp_path: Path, text: str, problem: str, hint: str
) -> None:
    (tmp_path / "registry.yaml").write_text(text)
    assert_a_mistake(zoo("run", "mine"), f"error: {problem}", hint)
    assert [path.name for path in tmp_path.iterdir()] == ["registry.yaml"]


@pytest.mark.parametrize(
    ("words", "problem", "hint"),
    [
        (["list", "modles"], "there are no 'modles' to list.", "Choose from recipes, models,"),
        (["info", "clsgn"], "nothing is called 'clsgn'.", "Did you mean 'clsgan'?"),
        (["info", "zzzzz"], "nothing is called 'zzzzz'.", "See `zoo list`."),
        (["info", 300 * "x"], "nothing is called 'xxx", "See `zoo list`."),
        (["run", "--resume", 300 * "x"], "config.yaml: File name too long.", ""),
        (["info"], "Missing argument 'NAME|FILE'", "info --help"),
        (["rum"], "zoo has no command 'rum'.", "Did you mean 'run'?"),
        (["lisst", "--json"], "zoo has no command 'lisst'.", "Did you mean 'list'?"),
        (["zzzzz"], "zoo has no command 'zzzzz'.", "`zoo --help` shows all."),
        (["--rum"], "--rum", "--help"),
        (["predict", "clsgan-mnits"], "no recipe is called 'clsgan-mnits'.", "Did you mean 'clsgan-mnist'?"),
        (
            ["predict", "cgan-mnist"],
            "recipe 'cgan-mnist' has no finished run below",
            "Train it first: zoo run cgan-mnist",
        ),
        (["predict", RECIPE, "labels"], "'labels' should be key=value.", "labels=[5,5,5,5]"),
        (["predict", RECIPE, "labels=["], "the value of 'labels=[' is not YAML: ", "Quote it for the shell"),
        (["predict", "none.safetensors"], "none.safetensors does not exist.", "`zoo weights list`"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_every_other_command_says_as_much(zoo: Zoo, words: list[str], problem: str, hint: str) -> None:
    assert_a_mistake(zoo(*words), problem, hint)


def test_a_run_folder_that_is_there_is_left_as_it_is(zoo: Zoo, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")

    said = zoo("run", RECIPE, "run.steps=1", "--folder", "mine")

    assert_a_mistake(said, "the run folder mine is there already", "zoo run --resume mine")
    assert [path.name for path in tmp_path.rglob("*")] == ["mine", "thesis.txt"]


@pytest.mark.parametrize(
    ("folder", "reason"), [("file/run", "Not a directory"), ("/proc/none/run", "No such file"), ("a" * 300, "too long")]
)
def test_a_folder_that_cannot_be_made_says_why(zoo: Zoo, tmp_path: Path, folder: str, reason: str) -> None:
    (tmp_path / "file").write_text("")
    said = zoo("run", RECIPE, "run.steps=1", "run.device=cpu", "--folder", folder)
    assert_a_mistake(said, "could not be made: ", "Choose another --folder.")
    assert reason in said.err
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("words", [["--traceback", "list", "modles"], ["list", "modles", "--traceback"]])
def test_a_traceback_is_shown_to_who_asks_for_it(zoo: Zoo, words: list[str]) -> None:
    said = zoo(*words)
    assert said.code == 2
    assert said.err.startswith("Traceback (most recent call last):")
    assert "zoo_core/registry/catalog.py" in said.err
    assert said.lines[-2] == "error: there are no 'modles' to list."


def test_the_environment_may_ask_for_tracebacks(zoo: Zoo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZOO_TRACEBACK", "1")
    assert "Traceback" in zoo("info", "zzzzz").err


def test_a_mistake_of_the_real_command_ends_with_code_2(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "zoo_core", "run", "clsgan-mnits"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    assert done.stderr == "error: no recipe is called 'clsgan-mnits'.\n  Did you mean 'clsgan-mnist'?\n"
    assert done.stdout == ""
