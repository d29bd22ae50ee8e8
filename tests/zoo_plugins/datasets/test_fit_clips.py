"""What ``zoo fit`` recognizes as clips, and what it plans for them."""

import numpy as np
import pytest
from PIL import Image

import zoo_core as zoo
from zoo_core.registry.catalog import Catalog
from zoo_core.tools.fit.plan import recognize
from zoo_plugins.datasets.fit_clips import PredictFrames

CPU, GPU = (zoo.Budget(minutes=5, memory=2**33, device=device) for device in ("cpu", "cuda"))


def moving(count=40, height=48, width=64, seed=0):
    """A blob that moves (T, H, W)."""
    rows, columns = np.mgrid[:height, :width]
    return np.stack(
        [
            (255 * np.exp(-((rows - 10 - seed - t / 2) ** 2 + (columns - 8 - t) ** 2) / 60)).astype(np.uint8)
            for t in range(count)
        ]
    )


def images(folder, frames, name="{}.png"):
    folder.mkdir(parents=True, exist_ok=True)
    for number, frame in enumerate(frames, start=1):
        Image.fromarray(frame).save(folder / name.format(number))


def animation(path, frames):
    path.parent.mkdir(parents=True, exist_ok=True)
    first, *others = map(Image.fromarray, frames)
    options = {"lossless": True} if path.suffix == ".webp" else {}
    first.save(path, save_all=True, append_images=others, **options)


def planned(folder, budget=CPU):
    task = PredictFrames()
    return task.plan(folder, task.find(folder), budget).values


def built(values):
    dataset = dict(values["dataset"])
    return zoo.build(dataset.pop("name"), dataset, kind="dataset")


def two_folders(folder):
    for number in range(2):
        images(folder / f"clip{number}", moving(seed=number))


def one_sequence(folder):
    images(folder, moving(), "frame{}.png")


def gifs_in_folders(folder):
    for number in range(4):
        animation(folder / ("run" if number % 2 else "walk") / f"{number}.gif", moving(seed=number))


def several_kinds(folder):
    images(folder / "a", moving())
    animation(folder / "b.webp", moving(seed=1))
    animation(folder / "c.tif", moving(seed=2))
    np.save(folder / "d.npy", np.stack([moving(seed=3), moving(seed=4)]))


@pytest.mark.parametrize("make", [two_folders, one_sequence, gifs_in_folders, several_kinds])
def test_few_clips_are_divided_in_time(tmp_path, make):
    make(tmp_path)
    recognized = recognize(tmp_path, Catalog())
    assert recognized.entry.name == "clips"
    assert any("divided in time" in line for line in recognized.finding.details)
    values = planned(tmp_path)
    assert values["dataset"]["split"] == "time"
    assert (values["dataset"]["frames_in"], values["dataset"]["frames_out"]) == (4, 4)
    window = built(values).train()[0]
    assert window["past"].shape == (4, values["model"]["frame_channels"], 32, 64)


def test_of_many_clips_whole_ones_are_kept_for_the_test(tmp_path):
    np.save(tmp_path / "a.npy", np.stack([moving(12, seed=number) for number in range(12)]))
    values = planned(tmp_path)
    assert values["dataset"]["split"] == "clips"
    data = built(values)
    used = [{clip.index for clip, _ in split.starts} for split in (data.train(), data.validation(), data.test())]
    assert sum(map(len, used)) == len(set.union(*used)) == 12


def test_given_splits_are_used(tmp_path):
    for number, split in enumerate(("train", "train", "val", "test")):
        animation(tmp_path / split / f"{number}.gif", moving(seed=number))
    finding = PredictFrames().find(tmp_path)
    assert "the folders of the splits are used" in finding.details
    data = built(planned(tmp_path))
    assert {clip.path.parent.name for clip, _ in data.test().starts} == {"test"}


def test_the_model_fits_the_windows(tmp_path):
    images(tmp_path / "a", np.stack([moving(60, 200, 300)] * 3, axis=-1))
    on_cpu, on_gpu = planned(tmp_path), planned(tmp_path, GPU)
    assert on_cpu["model"]["in_channels"] == 12
    assert (on_cpu["model"]["patch"], on_cpu["model"]["base_channels"]) == (4, 32)
    assert on_gpu["model"]["in_channels"] == 3 * on_gpu["dataset"]["frames_in"] == 18
    assert (on_cpu["dataset"]["crop_height"], on_cpu["dataset"]["crop_width"]) == (192, 256)
    assert on_cpu["run"]["workers"] == 0
    small = PredictFrames().plan(tmp_path, PredictFrames().find(tmp_path), zoo.Budget(5, 2**20, "cpu"))
    assert "cache_mb" not in small.values["dataset"]
    assert small.values["run"]["workers"] == 1


def test_the_comment_on_the_patch_is_that_of_its_value(tmp_path):
    for name, size, comment in (("small", (40, 48), "full resolution"), ("large", (96, 128), "squares of 4 x 4")):
        images(tmp_path / name, moving(40, *size))
        task = PredictFrames()
        plan = task.plan(tmp_path / name, task.find(tmp_path / name), CPU)
        assert plan.reasons["model.patch"].startswith(comment)


def test_clips_of_several_sizes_are_resized_to_the_median(tmp_path):
    for number, height in enumerate((48, 64, 90)):
        np.save(tmp_path / f"{number}.npy", moving(height=height))
    values = planned(tmp_path)
    assert (values["dataset"]["height"], values["dataset"]["width"]) == (64, 64)
    assert built(values).test()[0]["past"].shape[-2:] == (64, 64)


def test_what_is_left_out_is_said(tmp_path):
    two_folders(tmp_path)
    (tmp_path / "about.txt").write_text("notes")
    (tmp_path / "clip0" / "._1.png").write_bytes(b"\0")
    (tmp_path / "again").symlink_to(tmp_path / "clip0")
    (tmp_path / "self").symlink_to(tmp_path)
    finding = PredictFrames().find(tmp_path)
    assert finding.summary == "2 clips, 80 frames"
    assert finding.left_out == ("1 file ending in .txt, 2 sub-folders",)


def test_separate_pictures_are_no_clips(tmp_path):
    random = np.random.default_rng(0)
    for name in ("cat", "dog"):
        images(tmp_path / name, random.integers(0, 256, (12, 32, 32), np.uint8))
    assert PredictFrames().find(tmp_path) is None
    assert recognize(tmp_path, Catalog()).entry.name == "classify"


def test_frames_that_follow_one_another_are_classes_if_that_is_chosen(tmp_path):
    two_folders(tmp_path)
    assert recognize(tmp_path, Catalog(), "classify").finding.summary == "80 images of 2 classes"


@pytest.mark.parametrize(
    ("name", "frames", "message"),
    [
        ("a.npy", moving().astype(np.float32), r"a\.npy holds values from 0 to 255"),
        ("a.npy", np.where(moving() > 9, np.nan, 0), r"a\.npy holds values from nan to nan"),
        ("a.npy", moving().astype(np.uint16), r"a\.npy holds uint16"),
        ("a.npy", moving() // 200, r"a\.npy holds uint8 values of 0 and 1 only"),
        ("a.npy", moving(1), "none of which has two frames"),
        ("a.npy", moving(4), r"or one of 6 frames"),
        ("a.npy", np.stack([moving()] * 5, axis=-1), r"a\.npy holds images of shape \(48, 64, 5\)"),
    ],
)
def test_values_that_would_be_misread_are_refused(tmp_path, name, frames, message):
    np.save(tmp_path / name, frames) if name == "a.npy" else animation(tmp_path / name, frames)
    with pytest.raises(zoo.ZooError, match=message) as refused:
        recognize(tmp_path, Catalog())
    assert refused.value.hint


@pytest.mark.parametrize("kind", ["frame", "clip"])
def test_a_pipe_is_refused_by_name(tmp_path, kind):
    import os

    images(tmp_path / "a", moving())
    path = tmp_path / "a" / "41.png" if kind == "frame" else tmp_path / "b.gif"
    os.mkfifo(path)
    with pytest.raises(zoo.BadFile, match="is a pipe"):
        recognize(tmp_path, Catalog())


def test_frames_that_do_not_use_all_bits_have_a_planned_white(tmp_path):
    for number in range(2):
        deep = moving(seed=number).astype(np.uint16) * 16
        pages = [Image.fromarray(frame) for frame in deep]
        pages[0].save(tmp_path / f"{number}.tif", save_all=True, append_images=pages[1:])
    values = planned(tmp_path)
    assert values["dataset"]["max_value"] == 4095
    assert built(values).train()[0]["past"].max() > 0.9


def test_settings_that_are_given_are_used_to_look_and_to_plan(tmp_path):
    two_folders(tmp_path)
    task = PredictFrames()
    task.given = {"dataset": {"color": "rgb", "frames_in": 6, "frames_out": 2, "height": 32, "width": 32}}
    finding = task.find(tmp_path)
    assert any("windows of 6 + 2 frames" in line for line in finding.details)
    model = task.plan(tmp_path, finding, CPU).values["model"]
    assert (model["in_channels"], model["out_channels"], model["patch"]) == (18, 6, 1)


def test_large_frames_are_resized_for_a_small_memory(tmp_path):
    images(tmp_path / "a", moving(40, 500, 700))
    small, large = (planned(tmp_path, zoo.Budget(5, memory, "cpu")) for memory in (int(1.03 * 2**30), 2**33))
    assert small["dataset"]["height"] < 500
    assert "height" not in large["dataset"]
    assert small["run"]["batch_size"] <= large["run"]["batch_size"]


def test_images_of_two_cameras_in_one_folder_are_two_clips(tmp_path):
    images(tmp_path, moving(24, seed=0), "left_{}.png")
    images(tmp_path, moving(24, seed=9), "right_{}.png")
    finding = PredictFrames().find(tmp_path)
    assert finding.summary == "2 clips, 48 frames"
    values = planned(tmp_path)
    left = moving(24, seed=0) / 255
    for cached in (0, 50):
        data = built({"dataset": {**values["dataset"], "cache_mb": cached, "augmentation": "none", "crop_height": 0,
                                  "crop_width": 0}})  # fmt: skip
        window = data.train()[0]["past"]
        assert np.allclose(window[:, 0].numpy(), left[: len(window)], atol=1e-6)
        for part in (data.train(), data.validation(), data.test()):
            for clip, start in part.starts:
                stop = start + part.length
                assert stop <= 24 or start >= 24, "a window of both cameras"
                expected = moving(24, seed=0 if stop <= 24 else 9)[start % 24]
                assert np.allclose(part.reading(clip, start, stop)[0, 0].numpy(), expected / (1 if cached else 255))


def test_numbers_of_days_and_a_few_other_names_make_no_clips_of_their_own(tmp_path):
    images(tmp_path, moving(20), "2015-05-15_{}.png")
    images(tmp_path, moving(20, seed=3), "2015-05-16_{}.png")
    assert PredictFrames().find(tmp_path).summary == "1 clip, 40 frames"
    images(tmp_path, moving(2), "z_{}.png")
    assert PredictFrames().find(tmp_path).summary == "1 clip, 42 frames"
