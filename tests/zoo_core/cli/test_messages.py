"""Usage errors: exit code 2, a message and a hint, no file written."""

from __future__ import annotations

import os
import re
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
class Result:
    """Exit code and output of a command."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.err.splitlines()


Zoo = Callable[..., Result]


@pytest.fixture
def zoo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Zoo:
    """The command ``zoo`` in an empty working directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ZOO_TRACEBACK", "")  # --traceback sets it
    catalog.default.cache_clear()

    def zoo(*arguments: str) -> Result:
        code = _exit_code(list(arguments))
        return Result(code, *capsys.readouterr())

    return zoo


def assert_usage_error(result: Result, message: str, hint: str = "") -> None:
    assert result.code == 2, result
    assert result.out == ""
    assert "Traceback" not in result.err
    assert 1 <= len(result.lines) <= 2, result.err
    assert result.lines[0].startswith("error: ")
    assert message in result.lines[0]
    assert hint in "".join(result.lines[1:])
    assert bool(hint) <= (len(result.lines) == 2)


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        (["clsgan-mnits"], "no recipe is called 'clsgan-mnits'.", "Did you mean 'clsgan-mnist'?"),
        (["zzz"], "no recipe is called 'zzz'.", "`zoo list` shows all"),
        (["nobody/clsgan-mnist"], "no recipe is called 'nobody/clsgan-mnist'.", "Did you mean 'clsgan-mnist'?"),
        ([RECIPE, "trainer.ada_targt=0.9"], "trainer.ada_targt: trainer 'clsgan' has no such", "'trainer.ada_target'?"),
        ([RECIPE, "trainer.ema_decay=0.9"], "trainer.ema_decay: trainer 'clsgan' has no such", "'run.ema_decay'?"),
        ([RECIPE, "model.batch_size=8"], "model.batch_size: model 'clsgan' has no such setting", "'run.batch_size'?"),
        ([RECIPE, "dataset.seed=1"], "dataset.seed: dataset 'mnist' has no such setting", "'run.seed'?"),
        ([RECIPE, "dataset.sauce=full"], "dataset.sauce: dataset 'mnist' has no such setting", "'dataset.source'?"),
        ([RECIPE, "run.batchsize=3"], "run.batchsize: recipe 'clsgan-mnist' has no such", "'run.batch_size'?"),
        ([RECIPE, "run.name=mine"], f"run.name: recipe '{RECIPE}' has no such setting.", "Its settings: steps, epochs"),
        ([RECIPE, "batch_size=3"], "a recipe has no setting 'batch_size'.", "Did you mean 'run.batch_size'?"),
        ([RECIPE, "model.name=clsgam"], "model.name: no model is called 'clsgam'.", "Did you mean 'clsgan'?"),
        ([RECIPE, "dataset.name=mnits"], "dataset.name: no dataset is called 'mnits'.", "Did you mean 'mnist'?"),
        ([RECIPE, "latent_dim=64"], "a recipe has no setting 'latent_dim'.", "Did you mean 'model.latent_dim'?"),
        ([RECIPE, "model.name=7"], "model.name is 7, but should be text.", "`zoo list models`"),
        ([RECIPE, "run.device=0"], "run.device is '0', but this machine has", "Write `--device cpu`"),
        ([RECIPE, "run.steps=1e4"], "run.steps is 10000.0, but should be an int or null", "`run.steps=10000`"),
        ([RECIPE, "model.name=null"], "recipe 'clsgan-mnist' has no model.", "see `zoo list models`"),
        ([RECIPE, "trainer.l1_weight=much"], "trainer.l1_weight is 'much', but should be a float (", ""),
        ([RECIPE, "trainer.l1_weight="], "trainer.l1_weight is null, but should be a float (", ""),
        ([RECIPE, "trainer.betas.x=5"], "trainer.betas is {x: 5}, but should be a list of 2 float", ""),
        ([RECIPE, "trainer.betas=[null, true]"], "trainer.betas is [null, true], but should be a list of 2 float", ""),
        ([RECIPE, "summary.of=it"], "command line: summary is {of: 'it'}, but should be text.", ""),
        ([RECIPE, "trainer.loss=crossentropy"], "should be one of least-squares, cross-entropy", "'cross-entropy'?"),
        ([RECIPE, "run.batch_size=64.0"], "run.batch_size is 64.0, but should be an int", "`run.batch_size=64`"),
        ([RECIPE, "run.batch_size=0"], "run.batch_size is 0, but should be at least 1", ""),
        ([RECIPE, "run.epochs=inf"], "run.epochs is 'inf', but should be finite", ""),
        ([RECIPE, "run.steps=null"], "should give either run.steps or run.epochs.", "Add `run.steps=1000`."),
        ([RECIPE, "run.steps=${oc.env:HOME}"], "run.steps is '${oc.env:HOME}', but recipes do not", "Write the value"),
        ([RECIPE, "run.steps=["], "run.steps is '[', but should be an int or null", "Quote it for the shell"),
        ([RECIPE, "run.steps"], "'run.steps' should be key=value.", "Write for example"),
        ([RECIPE, "run.device=cuda:99"], "run.device is 'cuda:99', but this machine has cpu", "Write `--device cpu`"),
        ([RECIPE, "--device", "toaster"], "run.device is 'toaster', but this machine has", "Write `--device cpu`"),
        (["--config", "none.yaml"], "none.yaml could not be read: No such file or directory.", ""),
        (["--resume", "nowhere"], "nowhere is not the folder of a run: it has no config.yaml.", "`zoo top`"),
        (["--resume", "a", "--folder", "b"], "a resumed run stays in its folder", "Leave it out."),
        ([RECIPE, "--registry", "none.yaml"], "none.yaml could not be read: No such file or directory.", ""),
        ([], "give one of RECIPE, --config FILE and --resume RUN_DIR", "--help"),
        ([RECIPE, "--config", "x.yaml"], "give one of RECIPE, --config FILE and --resume RUN_DIR", "--help"),
        ([RECIPE, "--devise", "cpu"], "--devise", "--help"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_usage_error_of_run_has_a_hint_and_writes_nothing(
    zoo: Zoo, tmp_path: Path, arguments: list[str], message: str, hint: str
) -> None:
    assert_usage_error(zoo("run", *arguments), message, hint)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("recipes: [\n", "registry.yaml:2: this is not YAML", ""),
        ("5\n", "registry.yaml contains a single value", ""),
        ("recipes:\n  mine: {}\n  mine: {}\n", "registry.yaml:3: this is not YAML: found duplicate key mine.", ""),
        ("recipies: {}\n", "registry.yaml:1: a registry has no section 'recipies'.", "Did you mean 'recipes'?"),
        ("recipes:\n  mine: 2026\n", "registry.yaml:2: recipes.mine is 2026, but should be a mapping.", "mine: {"),
        (
            "recipes:\n  mine: {extends: mine}\n",
            "registry.yaml:2: recipe 'mine' extends itself: mine → mine",
            "Remove `extends`",
        ),
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
def test_an_error_in_a_registry_file_contains_the_file_and_the_line(
    zoo: Zoo, tmp_path: Path, text: str, message: str, hint: str
) -> None:
    (tmp_path / "registry.yaml").write_text(text)
    assert_usage_error(zoo("run", "mine"), f"error: {message}", hint)
    assert [path.name for path in tmp_path.iterdir()] == ["registry.yaml"]


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        (["list", "modles"], "can't list 'modles'.", "Choose from recipes, models,"),
        (["info", "clsgn"], "nothing is called 'clsgn'.", "Did you mean 'clsgan'?"),
        (["info", "zzzzz"], "nothing is called 'zzzzz'.", "See `zoo list`."),
        (["info", 300 * "x"], "nothing is called 'xxx", "See `zoo list`."),
        (["run", "--resume", 300 * "x"], "config.yaml: File name too long.", ""),
        (["info"], "Missing argument 'NAME|FILE'", "info --help"),
        (["rum"], "zoo has no command 'rum'.", "Did you mean 'run'?"),
        (["lisst", "--json"], "zoo has no command 'lisst'.", "Did you mean 'list'?"),
        (["zzzzz"], "zoo has no command 'zzzzz'.", "`zoo --help` lists them."),
        (["--rum"], "--rum", "--help"),
        (["predict", "clsgan-mnits"], "no recipe is called 'clsgan-mnits'.", "Did you mean 'clsgan-mnist'?"),
        (
            ["predict", "cgan-mnist"],
            "recipe 'cgan-mnist' has no finished run in",
            "Train it first: zoo run cgan-mnist",
        ),
        (["predict", RECIPE, "labels"], "'labels' should be key=value.", "labels=[5,5,5,5]"),
        (["predict", RECIPE, "labels=["], "labels is '[', but should be integers.", ""),
        (["predict", "none.safetensors"], "none.safetensors does not exist.", "`zoo weights list`"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_usage_error_of_other_commands_has_a_hint(zoo: Zoo, arguments: list[str], message: str, hint: str) -> None:
    assert_usage_error(zoo(*arguments), message, hint)


REGISTRY = """
recipes:
  mine:
    extends: digit-classifier-mnist
"""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["predict", "mine"], "Train it first: zoo run mine --registry mine.yaml"),
        (["verify-resume", "mine", "run.stepz=3"], "run.stepz: recipe 'mine' has no such setting"),
        (["check", "mine", "run.stepz=3"], "run.stepz: recipe 'mine' has no such setting"),
        (["check", "mine", "digit-classifier"], "'digit-classifier' is no override"),
        (["weights", "publish", ".", "--license", "MIT"], "model.safetensors does not exist"),
        (["weights", "convert", "a.pt", "--model", "digit-classifier", "-o", "b.safetensors"], "a.pt"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_every_command_that_looks_up_names_accepts_a_registry(
    zoo: Zoo, tmp_path: Path, arguments: list[str], message: str
) -> None:
    (tmp_path / "mine.yaml").write_text(REGISTRY)
    result = zoo(*arguments, "--registry", "mine.yaml")
    assert result.code == 2
    assert re.search(message, result.err)
    assert os.environ.get("ZOO_REGISTRY_FILES", "") == ""


def test_a_name_with_a_line_break_makes_no_third_line(zoo: Zoo) -> None:
    for arguments in (["run", "a\nb"], ["run", "digit-classifier-mnist", "a\nb=3"], ["info", "a\x1b[31mb"], ["ru\nn"]):
        result = zoo(*arguments)
        assert result.code == 2
        assert len(result.err.splitlines()) <= 2
        assert "\x1b" not in result.err


def test_an_existing_folder_is_not_modified(zoo: Zoo, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")

    result = zoo("run", RECIPE, "run.steps=1", "--folder", "mine")

    assert_usage_error(result, "the run folder mine already exists", "zoo run --resume mine")
    assert [path.name for path in tmp_path.rglob("*")] == ["mine", "thesis.txt"]


@pytest.mark.parametrize(
    ("folder", "reason"), [("file/run", "Not a directory"), ("/proc/none/run", "No such file"), ("a" * 300, "too long")]
)
def test_the_message_for_a_folder_that_cannot_be_created_contains_the_reason(
    zoo: Zoo, tmp_path: Path, folder: str, reason: str
) -> None:
    (tmp_path / "file").write_text("")
    result = zoo("run", RECIPE, "run.steps=1", "run.device=cpu", "--folder", folder)
    assert_usage_error(result, "could not be created: ", "Choose another --folder.")
    assert reason in result.err
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("arguments", [["--traceback", "list", "modles"], ["list", "modles", "--traceback"]])
def test_a_traceback_is_printed_on_request(zoo: Zoo, arguments: list[str]) -> None:
    result = zoo(*arguments)
    assert result.code == 2
    assert result.err.startswith("Traceback (most recent call last):")
    assert "zoo_core/registry/catalog.py" in result.err
    assert result.lines[-2] == "error: can't list 'modles'."


def test_a_traceback_can_be_requested_by_the_environment(zoo: Zoo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZOO_TRACEBACK", "1")
    assert "Traceback" in zoo("info", "zzzzz").err


def test_a_usage_error_in_a_subprocess_ends_with_code_2(tmp_path: Path) -> None:
    arguments = [sys.executable, "-m", "zoo_core", "run", "clsgan-mnits"]
    done = subprocess.run(arguments, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    assert done.stderr == "error: no recipe is called 'clsgan-mnits'.\n  Did you mean 'clsgan-mnist'?\n"
    assert done.stdout == ""
