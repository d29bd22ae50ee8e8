"""The folders of runs in the working directory."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from zoo_core.errors import BadSetting
from zoo_core.runs import paths


@pytest.fixture(autouse=True)
def working_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def make_run(name: str, active: float, **files: float) -> Path:
    """A run folder whose files have the given modification times."""
    run = Path("runs", *name.split("/"))
    run.mkdir(parents=True)
    for file, time in {"config.yaml": active, **{file.replace("_", "."): time for file, time in files.items()}}.items():
        (run / file).touch()
        os.utime(run / file, (time, time))
    return run


def test_two_new_runs_in_the_same_second_have_different_folders(monkeypatch):
    class Clock:
        @classmethod
        def now(cls):
            from datetime import datetime

            return datetime(2026, 11, 24, 2, 15, 33)

    monkeypatch.setattr(paths, "datetime", Clock)
    first = paths.new_path(Path("runs"), "line")
    assert first == Path("runs/line/2026-11-24T02-15-33")
    first.mkdir(parents=True)
    assert paths.new_path(Path("runs"), "line") == Path("runs/line/2026-11-24T02-15-33-2")


def test_the_last_run_is_the_one_that_wrote_last():
    assert paths.last_run() is None
    old = make_run("a/1", 100, metrics_jsonl=900)
    make_run("b/1", 500)
    assert paths.last_run() == old
    assert paths.run_called("last", "zoo run --resume RUN_DIR") == old


def test_the_newest_run_of_a_recipe_has_weights():
    assert paths.newest_run("a") is None
    make_run("a/1", 100, model_safetensors=100)
    newest = make_run("a/2", 100, model_safetensors=200)
    make_run("a/3", 300)
    make_run("b/1", 100, model_safetensors=400)
    assert paths.newest_run("a") == newest


def test_a_run_that_does_not_exist_is_refused_with_a_hint():
    with pytest.raises(BadSetting, match=r"there is no run in \./runs\.") as raised:
        paths.run_called("last", "zoo report RUN_DIR")
    assert raised.value.hint == "Give the folder of a run: zoo report RUN_DIR"
    with pytest.raises(BadSetting, match=r"nowhere is not the folder of a run: it has no config\.yaml") as raised:
        paths.run_called("nowhere", "zoo report RUN_DIR")
    assert raised.value.hint == "`zoo top` lists the runs."
