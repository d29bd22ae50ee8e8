"""Usage errors of ``zoo sweep``: a message and a hint, no file written."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

RECIPE = "digit-classifier-mnist"
RATES = "trainer.learning_rate=1e-3,1e-2"


@pytest.fixture
def sweep(tmp_path: Path, run_command):
    """Run the command in an empty working directory; returns its exit code, the message and the hint."""

    def sweep(*arguments: str) -> tuple[int, str, str]:
        code, out, err = run_command("sweep", *arguments)
        assert out == ""
        assert "Traceback" not in err
        first, *rest = err.splitlines()
        assert len(rest) <= 1, err
        assert list(tmp_path.iterdir()) == []
        return code, first.removeprefix("error: "), "".join(rest).strip()

    return sweep


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        ([], "give one of RECIPE, --resume SWEEP_DIR and --show SWEEP_DIR.", "sweep --help"),
        (["digit-clasifier-mnist", RATES], "no recipe is called", "Did you mean 'digit-classifier-mnist'?"),
        ([RECIPE], "the sweep has an empty search space: no setting has several values.", "1e-4,3e-4"),
        ([RECIPE, "run.steps=5"], "the sweep has an empty search space", "log:1e-4..1e-2"),
        ([RECIPE, "steps"], "'steps' should be key=value.", "Write for example"),
        ([RECIPE, "steps=5"], "a recipe has no setting 'steps'.", "Did you mean 'run.steps'?"),
        ([RECIPE, RATES], "the sweep has no metric to compare trials by.", "--metric accuracy"),
        ([RECIPE, RATES, "steps=4,5", "--metric", "accuracy"], "a recipe has no setting 'steps'.", "'run.steps'"),
        (
            [RECIPE, "trainer.learning_rate=1e-3,1e-2,x", "--metric", "accuracy"],
            "trainer.learning_rate is 'x', but should be a float",
            "",
        ),
        (
            [RECIPE, "trainer.learning_rate=-1.0..1.0", "--metric", "accuracy", "--trials", "3"],
            "trainer.learning_rate is -1.0, but should be above 0",
            "",
        ),
        ([RECIPE, "trainer.learning_rte=1,2", "--metric", "accuracy"], "has no such", "'trainer.learning_rate'?"),
        ([RECIPE, "model.name=digit-classifier,x", "--metric", "a"], "no model is called 'x'.", "`zoo list models`"),
        ([RECIPE, "run.device=cpu,gpu9", "--metric", "a"], "run.device is 'gpu9', but this machine has", ""),
        (
            [RECIPE, "trainer.learning_rate=1e-3..1e-2", "--metric", "a"],
            "a range has infinitely many values.",
            "--trials 20",
        ),
        ([RECIPE, RATES, "--metric", "a", "--trials", "3"], "3 trials are more than the 2 combinations.", "Leave"),
        (
            [RECIPE, "run.seed=1..5", "--metric", "a", "--trials", "3", "--sampler", "grid"],
            "the grid sampler needs choices, but the search space has a range.",
            "--sampler tpe",
        ),
        ([RECIPE, RATES, "--metric", "a", "--pruner", "median"], "but run.evaluate_every is 0", "leave --pruner"),
        ([RECIPE, RATES, "--metric", "a", "--name", "b"], "--name names a sweep in a shared storage", "Leave"),
        ([RECIPE, RATES, "--metric", "loss", "--storage", "b"], "the storage b can't be opened", "postgresql://"),
        (["--resume", "nowhere"], "nowhere is not the folder of a sweep: it has no sweep.yaml.", "`ls sweeps`"),
        (["--resume", "last"], "there is no sweep in sweeps.", "zoo sweep RECIPE"),
        (["--resume", "last", "--metric", "a"], "a sweep that is resumed keeps its settings", "Leave it out."),
        (["--show", "last", "--trials", "5"], "a sweep that is shown keeps its settings", "Leave it out."),
    ],
)
def test_a_usage_error_has_a_hint_and_writes_nothing(sweep, arguments, message, hint):
    code, first, second = sweep(*arguments)
    assert code == 2
    assert message in first
    assert hint in second
    assert bool(hint) <= bool(second)


def test_a_password_is_never_shown(sweep):
    _, *lines = sweep(RECIPE, RATES, "--metric", "loss", "--storage", "postgresql://me:secret@nowhere.invalid/x")
    assert "postgresql://me:***@nowhere.invalid/x" in lines[0]
    assert "secret" not in "".join(lines)


@pytest.mark.parametrize(("package", "verb"), [("optuna", "is"), ("matplotlib", "is")])
def test_the_hint_for_a_missing_package_is_how_to_install_it(sweep, monkeypatch, package, verb):
    from zoo_core.tools import extras

    monkeypatch.setattr(extras, "find_spec", lambda name: None if name == package else object())
    code, first, second = sweep(RECIPE, RATES, "--metric", "accuracy")
    assert (code, first) == (2, f"a sweep needs {package}, which {verb} not installed.")
    assert second == "Type: pip install 'zoo-core[sweep]'"


def test_a_sweep_refuses_to_run_in_one_of_several_processes(sweep, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    code, first, second = sweep(RECIPE, RATES, "--metric", "accuracy")
    assert code == 2
    assert "WORLD_SIZE is set to more than 1" in first
    assert "without torchrun" in second


def test_a_run_does_not_import_optuna():
    import subprocess

    program = "import sys, zoo_core.cli.run, zoo_core.training.runner; print([m for m in sys.modules if 'optuna' in m])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert done.stdout == "[]\n", done.stderr
