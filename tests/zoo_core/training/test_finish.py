"""A hook may end a run as done, before the step that its recipe says."""

import json
from pathlib import Path

import tiny

import zoo_core as zoo
from zoo_core.tools.publish import publish
from zoo_core.tools.report.read import read_run
from zoo_core.weights.header import read_header


class Patience:
    """Ends a run when its loss has been logged so often."""

    def __init__(self, times):
        self.left = times

    @zoo.hookimpl
    def zoo_logged(self, run):
        self.left -= 1
        if not self.left:
            run.finish("patience is out")


def test_it_makes_one_more_step_is_measured_and_can_be_published(tmp_path):
    watcher = tiny.Watcher()
    run = tiny.train(tmp_path / "run", callbacks=(Patience(2), watcher))
    assert (run.step, run.total_steps, run.stopping, run.finishing) == (11, 11, "", "patience is out")
    assert watcher.heard[-2:] == ["evaluated 11", "finished"]
    (session,) = json.loads((tmp_path / "run" / "sessions.json").read_text())
    assert (session["step"], session["steps"], session["ended"]) == (11, 11, "done: patience is out")
    state = read_run(tmp_path / "run", tiny.catalog()).state
    assert (state.word, state.why) == ("done", "patience is out")
    done = publish(tmp_path / "run", "Apache-2.0", tmp_path / "line.safetensors", tiny.catalog())
    assert read_header(done.weights).metadata["step"] == 11
    assert done.entry["metrics"] == {"error": float(f"{run.test_metrics['error']:.4g}")}


def test_its_last_metrics_are_logged_and_what_was_saved_goes_on_if_asked(tmp_path):
    tiny.train(tmp_path / "run", callbacks=(Patience(1),))
    lines = [json.loads(line) for line in Path(tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if "evaluation" not in line] == [5, 6]
    assert tiny.resume(tmp_path / "run").step == 30


def test_one_that_is_to_end_before_it_began_makes_one_step(tmp_path):
    class AtOnce:
        @zoo.hookimpl
        def zoo_run_started(self, run):
            run.finish("one is enough")

    run = tiny.train(tmp_path / "run", callbacks=(AtOnce(),))
    assert (run.step, bool(run.test_metrics)) == (1, True)
