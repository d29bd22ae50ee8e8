"""Previews on disk and in TensorBoard: images in a grid, clips as rows and as a GIF."""

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
