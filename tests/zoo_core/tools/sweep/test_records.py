"""The folders of the trials are the source of truth when the database is lost; showing a sweep writes nothing."""

from __future__ import annotations

import re
import shutil
import warnings
from pathlib import Path

import optuna
import pytest

import zoo_core as zoo
from zoo_core.cli import _exit_code
from zoo_core.config.recipe import read_config
from zoo_core.tools.sweep.records import lost_database
from zoo_core.tools.sweep.study import holds_study

WORDS = ("line", "trainer.learning_rate=1e-3,1e-2", "trainer.raise_at=0,3", "run.steps=6", "--metric=-error")


def empty(path: Path) -> None:
    path.write_bytes(b"")


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:5000])


def overwrite(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[100:20000] = bytes(19900)
    path.write_bytes(content)


LOSSES = {
    "is empty": empty,
    "is missing": Path.unlink,
    "is damaged": cut,
    "is damaged (": overwrite,
    "is damaged (file is not a database)": lambda path: path.write_text("not a database " * 100),
}


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.suffix != ".lock"}


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    return tmp_path_factory.mktemp("kept") / "swept"


@pytest.fixture
def swept(sweep, kept):
    """A sweep of four trials, two of which have failed."""
    if kept.exists():
        shutil.copytree(kept, sweep.place / "swept")
        done = sweep.json("--show", "swept")
    else:
        done = sweep.json(*WORDS)
        shutil.copytree(done.folder, kept)
    assert [trial["state"] for trial in done.trials] == ["done", "failed", "done", "failed"]
    return done


def shown(trials):
    keys = ("trial", "state", "value", "settings", "metrics", "reason")
    return [tuple(one[key] for key in keys) for one in trials]


@pytest.mark.parametrize("why", LOSSES)
def test_showing_a_sweep_without_its_database_reads_the_folders_and_writes_nothing(sweep, swept, why):
    folder = sweep.place / "swept"
    LOSSES[why](folder / "study.db")
    before = contents(folder)
    with pytest.warns(UserWarning, match=why.partition(" (")[0]):
        again = sweep.json("--show", "swept")
    assert (again.code, shown(again.trials)) == (0, shown(swept.trials))
    assert contents(folder) == before


@pytest.mark.parametrize("why", LOSSES)
def test_resuming_a_sweep_without_its_database_builds_it_again(sweep, swept, why):
    folder = sweep.place / "swept"
    LOSSES[why](folder / "study.db")
    shutil.rmtree(folder / "trial-0001")
    with pytest.warns(UserWarning, match="it was built again from the folders of the trials"):
        again = sweep.json("--resume", "swept")
    assert again.code == 0
    assert [trial["state"] for trial in again.trials] == ["done", "failed", "done", "failed"]
    assert [trial["value"] for trial in again.trials] == [trial["value"] for trial in swept.trials]
    assert lost_database(folder / "study.db", "line") == ""
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        assert shown(sweep.json("--show", "swept").trials) == shown(again.trials)


def test_an_interrupted_trial_is_run_when_its_record_is_missing(sweep, swept):
    folder = sweep.place / "swept"
    (folder / "study.db").unlink()
    (folder / "trial-0002" / "trial.json").unlink()
    (folder / "trial-0000" / "trial.json").write_text("{}")
    with pytest.warns(UserWarning, match="is missing"):
        states = [trial["state"] for trial in sweep.json("--show", "swept").trials]
    assert states == ["running", "failed", "running", "failed"]
    with pytest.warns(UserWarning, match="built again"):
        again = sweep.json("--resume", "swept")
    assert [trial["value"] for trial in again.trials] == [trial["value"] for trial in swept.trials]


def test_showing_a_whole_sweep_writes_nothing(sweep, swept):
    folder = sweep.place / "swept"
    before = contents(folder)
    assert sweep("--show", "swept").code == 0
    assert sweep.json("--show", "swept").result == {**swept.result, "folder": "swept"}
    assert contents(folder) == before


def test_the_command_to_train_names_the_registry_and_the_recipe_as_it_was(sweep, capsys):
    more = sweep.place / "more.yaml"
    more.write_text("recipes:\n  mine:\n    extends: line\n    run: {steps: 4}\n")
    done = sweep("mine", "trainer.learning_rate=1e-3,1e-2", "--metric=-error", "--registry", "more.yaml")
    assert done.code == 0, done.err
    more.write_text("recipes:\n  mine:\n    extends: line\n    run: {steps: 9}\n")
    for out in (done.out, sweep("--show", "swept").out):
        (line,) = [line for line in out.splitlines() if line.startswith("  train ")]
        assert line.endswith(" --registry more.yaml")
        assert _exit_code([*line.split()[2:], "--folder", f"again-{len(out)}"]) == 0
        capsys.readouterr()
        again = sweep.place / f"again-{len(out)}"
        assert read_config(again / "config.yaml").values["run"]["steps"] == 4
        shutil.rmtree(again)


@pytest.mark.parametrize(
    "why", ["is missing", "is empty", "is damaged (file is not a database)", "has no sweep 'line'"]
)
def test_a_shared_storage_that_is_lost_is_said_and_nothing_is_written(sweep, why):
    storage = sweep.place / "shared.db"
    words = ("line", "trainer.learning_rate=1e-3,1e-2", "run.steps=2", "--metric=-error", "--storage")
    done = sweep.json(*words, f"sqlite:///{storage}")
    assert done.code == 0
    LOSSES.get(why, lambda path: optuna.delete_study(study_name="line", storage=f"sqlite:///{path}"))(storage)
    before = contents(sweep.place)
    with pytest.warns(UserWarning, match=f"{re.escape(why)}; shown are the trials of this machine"):
        again = sweep.json("--show", str(done.folder))
    assert (again.code, shown(again.trials)) == (0, shown(done.trials))
    refused = sweep("--resume", str(done.folder))
    assert refused.code == 2
    message, hint = refused.err.splitlines()
    assert f"{why}, and this folder has only the 2 trials of this machine." in message
    assert hint.startswith("  Restore the storage, or start a new sweep. `zoo sweep --show ")
    assert contents(sweep.place) == before


def test_whether_a_database_of_any_kind_has_a_sweep_is_asked_without_writing(tmp_path):
    storage = f"sqlite:///{tmp_path}/any.db"
    assert not holds_study(storage, "line")
    optuna.create_study(storage=storage, study_name="line")
    before = contents(tmp_path)
    assert holds_study(storage, "line")
    assert not holds_study(storage, "lines")
    assert contents(tmp_path) == before
    with pytest.raises(zoo.BadSetting, match="can't be opened"):
        holds_study("nosuch://a", "line")
