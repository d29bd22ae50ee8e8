"""TensorBoard events of interrupted runs: every step is shown once."""

import time
import warnings

import pytest
import tiny
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import zoo_core as zoo


def shown(folder):
    """The steps of every tag."""
    events = EventAccumulator(str(folder), size_guidance={"scalars": 0, "images": 0}).Reload()
    tags = events.Tags()
    scalars = {tag: [one.step for one in events.Scalars(tag)] for tag in tags["scalars"]}
    return scalars | {tag: [one.step for one in events.Images(tag)] for tag in tags["images"]}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole") / "run"
    tiny.train(folder, "run.log_every=1", "run.evaluate_every=5", "run.preview_every=3")
    return shown(folder)


def stop(folder, step, *words):
    tiny.train(
        folder, "run.log_every=1", "run.evaluate_every=5", "run.preview_every=3", *words,
        callbacks=(tiny.Watcher(stop_at=step),),
    )  # fmt: skip


def resume(folder):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tiny.resume(folder)


def test_the_steps_after_the_checkpoint_are_shown_once(whole, tmp_path):
    stop(tmp_path / "run", 27)
    (tmp_path / "run" / "checkpoints" / "step-000000027" / "state.json").write_text("")
    resume(tmp_path / "run")  # from step 20
    assert shown(tmp_path / "run") == whole


def test_a_run_resumed_within_a_second_is_shown_in_order(whole, tmp_path):
    """TensorBoard reads files in alphabetical order, and their names begin with the second."""
    stop(tmp_path / "run", 27)
    (events,) = (tmp_path / "run").glob("events.out.tfevents.*")
    events.rename(events.with_name(f"events.out.tfevents.{int(time.time()):010d}.zzz.1.1"))
    resume(tmp_path / "run")
    assert shown(tmp_path / "run") == whole


def test_without_a_checkpoint_all_steps_are_shown_once(whole, tmp_path):
    stop(tmp_path / "run", 8)
    (tmp_path / "run" / "checkpoints").rename(tmp_path / "elsewhere")
    resume(tmp_path / "run")
    assert shown(tmp_path / "run") == whole


def test_a_finished_run_that_is_resumed_shows_its_evaluation_once(whole, tmp_path):
    stop(tmp_path / "run", 0)
    for _ in range(2):
        resume(tmp_path / "run")
    assert shown(tmp_path / "run") == whole


def test_a_last_step_that_is_validated_and_tested_shows_both_if_it_is_resumed_between_them(tmp_path):
    words = ("run.steps=10", "run.evaluate_every=5", "run.monitor=-error")
    tiny.train(tmp_path / "whole", *words)
    assert shown(tmp_path / "whole")["evaluation/error"] == [5, 10, 10]

    class DiesBeforeTheTest:
        @zoo.hookimpl
        def zoo_checkpoint_saved(self, run, step):
            if step == 10:
                run.trainer.evaluate = None

    with pytest.raises(zoo.RunFailed):
        tiny.train(tmp_path / "run", *words, callbacks=(DiesBeforeTheTest(),))
    lines = (tmp_path / "run" / "metrics.jsonl").read_text()
    assert lines.count('"evaluation"') == 2
    for _ in range(2):
        resume(tmp_path / "run")
        assert shown(tmp_path / "run")["evaluation/error"] == [5, 10, 10]
        for file in ("metrics.jsonl", "model.safetensors"):
            assert (tmp_path / "run" / file).read_bytes() == (tmp_path / "whole" / file).read_bytes()


def test_a_folder_that_cannot_be_written_for_a_while_loses_events_and_not_the_logger(tmp_path):
    class Block:
        """Moves the run's folder away for two steps, before TensorBoard opens its first file."""

        @zoo.hookimpl
        def zoo_step_finished(self, run, step):
            if step == 4:
                run.path.rename(tmp_path / "elsewhere")
                run.path.write_text("")
            if step == 6:
                run.path.unlink()
                (tmp_path / "elsewhere").rename(run.path)

    with pytest.warns(UserWarning, match="can't be written") as caught:
        tiny.train(tmp_path / "run", callbacks=(Block(),))
    assert sum("TensorBoard events can't be written" in str(one.message) for one in caught) == 1
    assert not any("is disabled" in str(one.message) for one in caught)
    assert shown(tmp_path / "run")["train/loss"] == [10, 15, 20, 25, 30]
