"""Previews on disk and in TensorBoard: images in a grid, clips as rows and as a GIF, other kinds as files of theirs."""

import wave

import kinds_plugin
import numpy as np
import pytest
import tiny
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """The folder of a run whose previews are four clips of six frames of five by five pixels."""
    folder = tmp_path_factory.mktemp("clips") / "run"
    tiny.train(folder, "trainer.draws=clips", "run.steps=20")
    return folder


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """The folder of a run whose previews are four images of five by five pixels."""
    folder = tmp_path_factory.mktemp("images") / "run"
    tiny.train(folder, "run.steps=20")
    return folder


def names_in(folder):
    return sorted(path.name for path in (folder / "previews").iterdir())


def test_clips_are_written_as_png_and_gif(clips):
    assert names_in(clips) == ["step-000010.gif", "step-000010.png", "step-000020.gif", "step-000020.png"]


def test_images_are_written_as_one_png_per_preview(images):
    assert names_in(images) == ["step-000010.png", "step-000020.png"]
    with Image.open(images / "previews" / "step-000010.png") as image:
        assert image.size == (4 * 7 + 2, 7 + 2)  # two pixels around each


def test_the_png_of_clips_has_one_row_per_clip(clips):
    with Image.open(clips / "previews" / "step-000010.png") as image:
        assert image.size == (6 * 7 + 2, 4 * 7 + 2)


def test_the_gif_has_the_frames_of_the_clips_in_three_columns(clips):
    with Image.open(clips / "previews" / "step-000010.gif") as animation:
        assert animation.n_frames == 6
        assert animation.size == (3 * 7 + 2, 2 * 7 + 2)
        assert animation.info["loop"] == 0  # endless
        assert animation.info["duration"] == 100


@pytest.mark.parametrize(("kind", "size"), [("clips", (44, 30)), ("images", (30, 9))])
def test_tensorboard_has_the_same_preview(request, kind, size):
    events = EventAccumulator(str(request.getfixturevalue(kind))).Reload()
    shown = events.Images("preview")
    assert [image.step for image in shown] == [10, 20]
    assert {(image.width, image.height) for image in shown} == {size}


def test_tensorboard_has_the_metrics_of_the_metrics_file(images):
    events = EventAccumulator(str(images)).Reload()
    assert {"train/loss", "evaluation/error", "evaluation/error/points"} <= set(events.Tags()["scalars"])
    assert [scalar.step for scalar in events.Scalars("train/loss")] == [5, 10, 15, 20]


@pytest.fixture(scope="module")
def all_kinds(tmp_path_factory):
    """The folder of a run whose previews have a value of every kind."""
    folder = tmp_path_factory.mktemp("kinds") / "run"
    kinds_plugin.train(folder)
    return folder


def test_every_value_of_a_preview_is_a_file_of_its_kind(all_kinds):
    endings = {
        "text": ("txt",), "table": ("csv",), "audio": ("wav",), "line": ("npy", "png"), "matrix": ("npy", "png"),
        "volume": ("npy", "png"), "images": ("png",), "clips": ("gif", "png"), "classes": ("png",),
    }  # fmt: skip
    assert names_in(all_kinds) == sorted(
        f"step-00000{step}-my_{name}_1.{ending}" for step in (3, 6) for name in endings for ending in endings[name]
    )


def test_the_files_have_the_contents_of_the_values(all_kinds):
    def path(name):
        return all_kinds / "previews" / f"step-000006-my_{name}"

    assert path("text_1.txt").read_text() == f"step 6: {kinds_plugin.HOSTILE}"
    assert path("table_1.csv").read_text().splitlines() == [
        "token,loss", "'=1+1,0.125", "<b>b</b>,-1.0", "c|d,1e-09", ",6",
    ]  # fmt: skip
    assert np.array_equal(np.load(path("matrix_1.npy"), allow_pickle=False), kinds_plugin.gradient(6).numpy())
    assert np.load(path("volume_1.npy"), allow_pickle=False).dtype == np.int64
    with wave.open(str(path("audio_1.wav"))) as file:
        assert file.getparams()[:4] == (2, 2, kinds_plugin.RATE, kinds_plugin.RATE // 2)
    with Image.open(path("classes_1.png")) as image:
        assert (image.mode, np.asarray(image).tolist()) == ("P", np.arange(12).reshape(3, 4).tolist())


@pytest.mark.parametrize("gives", kinds_plugin.KINDS)
def test_a_preview_of_one_value_has_no_name(tmp_path, gives):
    kinds_plugin.train(tmp_path / "run", f"trainer.gives={gives}", "run.steps=3")
    assert {path.stem for path in (tmp_path / "run" / "previews").iterdir()} == {"step-000003"}


@pytest.mark.parametrize("gives", kinds_plugin.WRONG)
def test_a_preview_that_cannot_be_shown_is_a_warning_with_the_trainer_and_the_run_is_whole(tmp_path, gives):
    with pytest.warns(UserWarning, match=r"no more previews are drawn in this run: preview of the trainer 'kinds'"):
        run = kinds_plugin.train(tmp_path / "run", f"trainer.gives='{gives}'")
    assert run.step == 6
    assert not run.folder.previews.exists()


def test_a_run_that_is_resumed_has_the_same_previews(all_kinds, tmp_path):
    kinds_plugin.train(tmp_path / "run", "run.checkpoint_every=2", callbacks=(tiny.Watcher(stop_at=5),))
    for checkpoint in (tmp_path / "run" / "checkpoints").glob("step-000000005*"):
        (checkpoint / "state.json").write_text("")
    (tmp_path / "run" / "previews" / "step-000003-my_text_1.txt").write_text("of before")
    with pytest.warns(UserWarning, match="step-000000005"):
        kinds_plugin.resume(tmp_path / "run")
    assert names_in(tmp_path / "run") == names_in(all_kinds)
    same = [
        name
        for name in names_in(all_kinds)
        if (tmp_path / "run" / "previews" / name).read_bytes() == (all_kinds / "previews" / name).read_bytes()
    ]
    assert sorted({*names_in(all_kinds)} - {*same}) == ["step-000003-my_text_1.txt"]  # of before the checkpoint
