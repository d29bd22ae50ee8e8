"""Previews on disk and in TensorBoard: pictures in a grid, clips as rows and as an animation."""

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
def pictures(tmp_path_factory):
    """The folder of a run whose previews are four pictures of five by five pixels."""
    folder = tmp_path_factory.mktemp("pictures") / "run"
    tiny.train(folder, "run.steps=20")
    return folder


def names_in(folder):
    return sorted(path.name for path in (folder / "previews").iterdir())


def test_clips_are_a_picture_and_an_animation_for_each_preview(clips):
    assert names_in(clips) == ["step-000010.gif", "step-000010.png", "step-000020.gif", "step-000020.png"]


def test_pictures_are_one_picture_for_each_preview(pictures):
    assert names_in(pictures) == ["step-000010.png", "step-000020.png"]
    with Image.open(pictures / "previews" / "step-000010.png") as picture:
        assert picture.size == (4 * 7 + 2, 7 + 2)  # two pixels around each


def test_the_picture_of_clips_has_a_row_for_each(clips):
    with Image.open(clips / "previews" / "step-000010.png") as picture:
        assert picture.size == (6 * 7 + 2, 4 * 7 + 2)


def test_the_animation_has_the_clips_frames_with_three_clips_side_by_side(clips):
    with Image.open(clips / "previews" / "step-000010.gif") as animation:
        assert animation.n_frames == 6
        assert animation.size == (3 * 7 + 2, 2 * 7 + 2)
        assert animation.info["loop"] == 0  # for ever
        assert animation.info["duration"] == 100


@pytest.mark.parametrize(("kind", "size"), [("clips", (44, 30)), ("pictures", (30, 9))])
def test_tensorboard_gets_the_same_picture(request, kind, size):
    events = EventAccumulator(str(request.getfixturevalue(kind))).Reload()
    shown = events.Images("preview")
    assert [image.step for image in shown] == [10, 20]
    assert {(image.width, image.height) for image in shown} == {size}


def test_tensorboard_gets_the_numbers_of_the_metrics_file(pictures):
    events = EventAccumulator(str(pictures)).Reload()
    assert {"train/loss", "evaluation/error", "evaluation/error/points"} <= set(events.Tags()["scalars"])
    assert [scalar.step for scalar in events.Scalars("train/loss")] == [5, 10, 15, 20]
