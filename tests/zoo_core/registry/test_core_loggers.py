"""``run.loggers`` chooses loggers by name: those of zoo, and those that plugins register."""

import subprocess
import sys

import pytest
import tiny

import zoo_core as zoo
from zoo_core.loggers import loggers_of
from zoo_core.registry.resolve import resolve
from zoo_core.runs.folder import RunFolder
from zoo_core.tools.evaluate import recipe_of
from zoo_core.training.runner import run_recipe
from zoo_core.weights.header import read_header


class Lines:
    """A logger of a plugin."""

    def __init__(self):
        self.lines = []

    @zoo.hookimpl
    def zoo_logged(self, run, step, metrics):
        self.lines.append(f"{step} {','.join(metrics)}")
        (run.path / "lines.txt").write_text("\n".join(self.lines))


class Broken:
    def __init__(self):
        raise ValueError("no disk")


class Missing:
    def __init__(self):
        raise zoo.ZooError("the logger 'missing' needs the package x.", "pip install x")


class Wrong:
    @zoo.hookimpl
    def zoo_loged(self, run):
        pass


class Failing:
    @zoo.hookimpl
    def zoo_logged(self, run):
        raise OSError("no space left")


no_class = Lines()


class Loggers:
    @zoo.hookimpl
    def zoo_register(self, registry):
        for name, target in {
            "lines": "Lines",
            "broken": "Broken",
            "missing": "Missing",
            "wrong": "Wrong",
            "failing": "Failing",
            "no-class": "no_class",
            "absent": "Absent",
            "wandb": "Lines",
        }.items():
            registry.logger(name, f"{__name__}:{target}", summary=f"The logger {name}")


def catalog():
    here = tiny.catalog()
    here.plugins.add("loggers", Loggers())
    return here


def train(folder, *words, resume=False):
    resolved = resolve(tiny.RECIPE.with_overrides(["run.device=cpu", *words]), catalog())
    return run_recipe(resolved, loggers_of(resolved), folder, resume)


def test_the_loggers_by_default_write_metrics_events_previews_and_sessions(tmp_path):
    run = train(tmp_path / "run")
    assert run.settings.loggers == ["jsonl", "tensorboard", "images"]
    names = {path.name.split(".")[0] for path in (tmp_path / "run").iterdir()}
    assert {"metrics", "events", "previews", "sessions"} <= names


def test_only_those_that_are_named_are_used_and_sessions_always_are(tmp_path):
    train(tmp_path / "run", "run.loggers=[jsonl, loggers/lines]")
    names = {path.name.split(".")[0] for path in (tmp_path / "run").iterdir()}
    assert {"metrics", "sessions", "lines"} <= names
    assert not {"events", "previews"} & names
    assert (tmp_path / "run" / "lines.txt").read_text().splitlines()[0] == "5 loss"


@pytest.mark.parametrize(
    ("names", "error", "message", "hint"),
    [
        ("[jsonl, tensorbord]", zoo.UnknownName, "run.loggers: no logger is called 'tensorbord'", "'tensorboard'"),
        ("[jsonl, xyz]", zoo.UnknownName, "no logger is called 'xyz'", "`zoo list loggers` shows all"),
        ("[jsonl, wandb]", zoo.NameTaken, "2 plugins offer a logger called 'wandb'", "'zoo-core/wandb'"),
        ("[tensorboard]", zoo.BadSetting, "without jsonl", "`run.loggers=[jsonl,tensorboard]`"),
        ("[]", zoo.BadSetting, "without jsonl", "`run.loggers=[jsonl]`"),
        ("[jsonl, lines, lines]", zoo.BadSetting, "names 'lines' more than once", "once"),
        ("[jsonl, zoo-core/jsonl]", zoo.BadSetting, "more than once", "once"),
        ("lines", zoo.BadSetting, "run.loggers is 'lines', but should be a list of str", "`run.loggers=[lines]`"),
        ("[jsonl, broken]", zoo.BrokenPlugin, "could not be created: ValueError: no disk", "Leave it out"),
        ("[jsonl, missing]", zoo.ZooError, "needs the package x", "pip install x"),
        ("[jsonl, no-class]", zoo.BrokenPlugin, "but should be a class", "whose methods are hooks"),
        ("[jsonl, absent]", zoo.BrokenPlugin, "could not be imported", "update the plugin 'loggers'"),
        ("[jsonl, wrong]", zoo.BrokenPlugin, "does not fit the hooks", "'zoo_logged'"),
    ],
)
def test_a_choice_that_cannot_be_met_is_refused_before_anything_is_written(tmp_path, names, error, message, hint):
    with pytest.raises(error) as caught:
        train(tmp_path / "run", f"run.loggers={names}")
    assert message in caught.value.message
    assert hint in (caught.value.hint or "")
    assert not (tmp_path / "run").exists()


def test_a_logger_that_fails_is_one_warning(tmp_path):
    with pytest.warns(
        UserWarning, match="'Failing' is disabled for the rest of the run: zoo_logged raised OSError"
    ) as all:
        run = train(tmp_path / "run", "run.loggers=[jsonl, failing]")
    assert len(all) == 1
    assert run.step == 30


def test_a_run_is_resumed_with_other_loggers_also_if_its_own_are_no_longer_installed(tmp_path):
    train(tmp_path / "run", "run.loggers=[jsonl, lines]", "run.steps=10")
    resolved = resolve(tiny.RECIPE.with_overrides(["run.device=cpu", "run.loggers=[jsonl]"]), tiny.catalog())
    with pytest.warns(UserWarning, match="run.steps is now 30"):
        run = run_recipe(resolved, loggers_of(resolved), tmp_path / "run", resume=True)
    assert run.step == 30


def test_weights_are_evaluated_again_without_the_loggers_of_their_run(tmp_path):
    train(tmp_path / "run", "run.loggers=[jsonl, lines]")
    recipe = recipe_of(read_header(RunFolder(tmp_path / "run").weights))
    assert "loggers" not in recipe.settings("run")


def test_they_are_listed_and_described_without_importing_what_they_need():
    here = catalog()
    rows = {(row["plugin"], row["name"]): row["summary"] for row in here.rows("loggers")}
    assert {name for plugin, name in rows if plugin == "zoo-core"} == {
        "jsonl",
        "tensorboard",
        "images",
        "wandb",
        "mlflow",
    }
    assert rows["loggers", "lines"] == "The logger lines"
    assert here.info("mlflow")["logger"]["summary"].startswith("MLflow")
    program = (
        "import sys, zoo_core as zoo; zoo.info('wandb'); assert 'mlflow' in zoo.list('loggers');"
        "sys.exit(bool({'torch', 'wandb', 'mlflow', 'numpy'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_what_a_plugin_registers_as_a_logger_is_checked_like_a_model():
    here = catalog()
    with here.registry.owned_by("loggers"):
        here.registry.logger("Bad Name", "a.module:Class", summary="x")
    assert [refused.name for refused in here.registry.refused] == ["Bad Name"]
    for name, about, message in [
        ("other", {}, "without a summary"),
        ("lines", {"summary": "x"}, "registers the logger 'lines' twice"),
    ]:
        with here.registry.owned_by("loggers"), pytest.raises(zoo.BrokenPlugin, match=message):
            here.registry.logger(name, "a.module:Class", **about)
