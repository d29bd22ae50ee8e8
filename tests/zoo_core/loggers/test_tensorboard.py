"""TensorBoard events of interrupted runs: every step is shown once."""

import html
import io
import re
import time
import warnings
import wave

import kinds_plugin
import pytest
import tiny
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.plugin_event_accumulator import EventAccumulator as PluginEventAccumulator

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


@pytest.fixture(scope="module")
def kinds(tmp_path_factory):
    folder = tmp_path_factory.mktemp("kinds") / "run"
    kinds_plugin.train(folder, "run.checkpoint_every=2")
    return folder


def previews(folder):
    """The steps of every preview, as TensorBoard shows them: it reads all of them as tensors."""
    events = PluginEventAccumulator(str(folder), size_guidance={"tensors": 0}).Reload()
    tags = [tag for tag in events.Tags()["tensors"] if tag.startswith("preview")]
    return {tag: [one.step for one in events.Tensors(tag)] for tag in tags}


def test_every_kind_of_preview_is_shown(kinds):
    expected = {f"preview/my {name}/1" + "/text_summary" * (name in ("text", "table")) for name in kinds_plugin.KINDS}
    assert previews(kinds) == {tag: [3, 6] for tag in expected}
    tags = EventAccumulator(str(kinds)).Reload().Tags()
    assert len(tags["images"]) == 6
    assert tags["audio"] == ["preview/my audio/1"]


def test_texts_and_cells_are_shown_as_they_are(kinds):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        from tensorboard.plugin_util import markdown_to_safe_html
    events = EventAccumulator(str(kinds), size_guidance={"tensors": 0}).Reload()

    def shown_as(name):
        (text,) = events.Tensors(f"preview/my {name}/1/text_summary")[-1].tensor_proto.string_val
        return markdown_to_safe_html(text.decode())

    text = html.unescape(re.search("<code>(.*)</code>", shown_as("text"), re.DOTALL)[1])
    assert text.rstrip() == f"step 6: {kinds_plugin.HOSTILE}".replace("\t", "    ").replace("\x1b", "?")
    cells = [html.unescape(cell) for cell in re.findall("<t[dh][^>]*>(.*?)</t[dh]>", shown_as("table"))]
    assert cells == ["token", "loss", "=1+1", "0.125", "<b>b</b>", "-1", "c|d", "1e-09", "", "6"]


def test_audio_keeps_its_channels(kinds):
    (sound, _) = EventAccumulator(str(kinds), size_guidance={"audio": 0}).Reload().Audio("preview/my audio/1")
    assert (sound.content_type, sound.length_frames, sound.sample_rate) == ("audio/wav", 4000, 8000)
    with wave.open(io.BytesIO(sound.encoded_audio_string)) as file:
        assert file.getnchannels() == 2


def test_previews_of_every_kind_are_shown_once_in_a_resumed_run(kinds, tmp_path):
    kinds_plugin.train(tmp_path / "run", "run.checkpoint_every=2", callbacks=(tiny.Watcher(stop_at=4),))
    (tmp_path / "run" / "checkpoints" / "step-000000004" / "state.json").write_text("")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        kinds_plugin.resume(tmp_path / "run")
    assert previews(tmp_path / "run") == previews(kinds)
