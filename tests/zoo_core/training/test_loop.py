"""The loop: when it validates, draws, logs and saves."""

import json
import shutil
import subprocess

import pytest
import tiny
from PIL import Image
from warm_python import PYTHON

from zoo_core.checkpoint import directory as checkpoint
from zoo_core.errors import RunFailed


def lines_of(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_validation_examples_serve_on_the_way_and_evaluation_examples_at_the_end(tmp_path):
    run = tiny.train(tmp_path / "run", "dataset.apart=true", "run.evaluate_every=10")
    evaluations = [line for line in lines_of(run.path) if "evaluation" in line]
    assert [(line["step"], line["error/points"]) for line in evaluations] == [(10, 3), (20, 3), (30, 12)]
    assert run.test_metrics["error/points"] == 12


def test_previews_are_drawn_of_validation_examples(tmp_path):
    run = tiny.train(tmp_path / "run", "dataset.apart=true", "run.steps=10")
    with Image.open(run.folder.previews / "step-000010.png") as picture:
        assert picture.size == (3 * 7 + 2, 7 + 2)  # three pictures of five pixels, two between them


@pytest.mark.parametrize(
    ("draws", "why"),
    [
        ("nothing at all", "raised ValueError: nothing can be drawn"),
        ("words", "gives a list, but should give a str, .*; several texts are a mapping from names to them"),
    ],
)
def test_a_preview_that_cannot_be_drawn_costs_a_run_nothing_but_its_pictures(tmp_path, draws, why):
    plain = tiny.train(tmp_path / "plain")
    with pytest.warns(
        UserWarning, match=f"no more previews are drawn in this run: preview of the trainer 'line' .* {why}"
    ) as said:
        run = tiny.train(tmp_path / "run", f"trainer.draws={draws}")
    assert len(said) == 1
    assert lines_of(run.path) == lines_of(plain.path)
    assert (run.path / "model.safetensors").is_file()
    assert list(run.path.glob("events.*"))
    assert not list(run.folder.previews.glob("*"))


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (
            "trainer.says=step",
            "step of the trainer 'line' .* gives a metric named 'step', which is reserved in metrics.jsonl",
        ),
        ("trainer.metric=text", "evaluate of the trainer 'line' .* gives a str as 'error', but should give a number"),
    ],
)
def test_what_a_trainer_reports_by_mistake_is_named(tmp_path, words, problem):
    with pytest.raises(RunFailed, match=problem):
        tiny.train(tmp_path / "run", words)


def test_a_training_goes_on_when_nobody_reads_its_log_any_more(tiny_installed, tmp_path):
    (tmp_path / "line.yaml").write_text(tiny.RECIPE.as_yaml())
    words = ["run", "--config", "line.yaml", "--folder", "run", "run.device=cpu", "run.steps=200", "run.log_every=1"]
    with subprocess.Popen(
        [PYTHON, "-m", "zoo_core", *words], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as run:
        assert run.stdout is not None
        assert run.stdout.readline()
        run.stdout.close()
    assert (tmp_path / "run" / "model.safetensors").is_file()
    assert json.loads((tmp_path / "run" / "sessions.json").read_text())[-1]["ended"] == "done"
    assert len(lines_of(tmp_path / "run")) == 201


def test_without_validation_examples_the_evaluations_serve_on_the_way_too(tmp_path):
    run = tiny.train(tmp_path / "run", "run.evaluate_every=15")
    evaluations = [line for line in lines_of(run.path) if "evaluation" in line]
    assert [(line["step"], line["error/points"]) for line in evaluations] == [(15, 12), (30, 12)]


def test_checkpoints_between_two_log_lines_add_no_lines_and_lose_no_step(tmp_path):
    words = ["run.checkpoint_every=3", "run.log_every=7", "run.keep_checkpoints=100"]
    run = tiny.train(tmp_path / "run", *words)
    assert [line["step"] for line in lines_of(run.path)] == [7, 14, 21, 28, 30, 30]
    plain = tiny.train(tmp_path / "plain", "run.checkpoint_every=0", "run.log_every=7")
    assert lines_of(run.path) == lines_of(plain.path)


def test_a_run_that_was_killed_between_two_log_lines_writes_the_lines_it_would_have_written(tmp_path):
    words = ["run.checkpoint_every=3", "run.log_every=7", "run.keep_checkpoints=100"]
    whole = tiny.train(tmp_path / "run", *words).path
    for step in (3, 9, 12, 27):
        killed = tmp_path / f"killed-at-{step}"
        shutil.copytree(whole, killed)
        for path in (killed / "checkpoints").iterdir():
            if checkpoint.load(path)[0] > step:
                shutil.rmtree(path)
        tiny.resume(killed)
        assert (killed / "metrics.jsonl").read_text() == (whole / "metrics.jsonl").read_text(), step
        assert (killed / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes(), step


def test_a_run_that_is_stopped_before_its_first_log_line_writes_none(tmp_path):
    run = tiny.train(tmp_path / "run", callbacks=(tiny.Watcher(stop_at=3),))
    assert lines_of(run.path) == []
    assert run.train_metrics == {}
