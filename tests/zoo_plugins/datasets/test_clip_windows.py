"""Clips that are divided in time, and frames in memory."""

from pathlib import Path

import numpy as np
import pytest
import torch

import zoo_core as zoo
from zoo_plugins.datasets.clip_layouts import Clip
from zoo_plugins.datasets.clip_windows import Reading, Windows, divided, kept_in_memory
from zoo_plugins.datasets.frame_folder import FrameFolder


def clip(length, name="a"):
    return Clip(Path(name), length, (8, 8), (Path(name),))


def frames_of(parts):
    return [{(one.path, number) for one in part for number in range(one.first, one.first + one.length)}
            for part in parts]  # fmt: skip


@pytest.mark.parametrize("length", [6, 7, 40, 1001])
@pytest.mark.parametrize("fractions", [(0.1, 0.1), (0.3, 0.2), (0.0, 0.2), (0.9, 0.9)])
def test_no_frame_is_in_two_parts_and_each_has_a_window(length, fractions):
    clips = [clip(length), clip(3 * length, "b")]
    parts = divided(clips, 2, *fractions)
    train, validation, test = frames_of(parts)
    assert not (train & validation)
    assert not (train & test)
    assert not (validation & test)
    assert len(train | validation | test) == 4 * length
    for part in parts:
        assert all(one.length >= 2 for one in part)
    assert bool(validation) == (fractions[0] > 0 and fractions != (0.9, 0.9))
    for one in test:
        assert not any(other[1] > one[1] for other in train if other[0] == one[0])


def test_a_clip_that_is_too_short_is_for_training():
    train, validation, test = divided([clip(40), clip(8, "short")], 4, 0.1, 0.1)
    assert [one.path.name for one in train] == ["a", "short"]
    assert len(validation) == len(test) == 1


@pytest.fixture
def folder(tmp_path):
    random = np.random.default_rng(0)
    for name in "ab":
        np.save(tmp_path / f"{name}.npy", random.integers(0, 256, (40, 8, 12), np.uint8))
    return tmp_path


def make(folder, **settings):
    defaults = {"folder": str(folder), "frames_in": 3, "frames_out": 2, "color": "gray"}
    return FrameFolder(FrameFolder.Config(**{**defaults, **settings}))


def test_two_clips_are_divided_in_time_with_a_note(folder):
    data = make(folder)
    with pytest.warns(UserWarning, match="2 clips are divided in time, and the end is for the test"):
        splits = [data.train(), data.validation(), data.test()]
    seen = [{(one.path.name, number) for one, start in split.starts for number in range(start, start + 5)}
            for split in splits]  # fmt: skip
    assert not (seen[0] & seen[1])
    assert not (seen[0] & seen[2])
    assert not (seen[1] & seen[2])
    assert all(seen)


def test_whole_clips_can_be_demanded(folder):
    with pytest.raises(zoo.ZooError, match="at least 3 such clips are needed"):
        make(folder, split="clips").train()


def test_evaluations_may_use_few_windows_that_are_evenly_spaced(folder):
    data = make(folder, split="time", validation_fraction=0.4, test_fraction=0.3, evaluation_windows=4)
    assert len(data.validation()) == len(data.test()) == 4
    assert len({clip.path for clip, _ in data.test().starts}) == 2
    assert len(data.train()) == 2 * (12 - 5 + 1)


def test_a_clip_that_begins_later_in_a_folder_counts_with_the_frames_before_it(tmp_path):
    from PIL import Image

    for name in ("a_0", "a_1", "a_2", "a_3", "b_0", "b_1", "b_2", "b_3"):
        Image.new("L", (12, 8), 7).save(tmp_path / f"{name}.png")
    second = Clip(tmp_path, 4, (8, 12), tuple(sorted(tmp_path.iterdir())[4:]), first=4)
    size = 8 * 8 * 12  # of all eight frames, which are kept
    assert kept_in_memory([second], 1, None, size - 1) == {}
    assert kept_in_memory([second], 1, None, size)[tmp_path, None].shape == (8, 1, 8, 12)


@pytest.mark.parametrize("settings", [{}, {"height": 16, "width": 16}, {"crop_height": 4, "augmentation": "flips"}])
def test_frames_in_memory_are_those_of_the_files(tmp_path, settings):
    from PIL import Image

    random = np.random.default_rng(0)
    for name in "ab":
        first, *others = map(Image.fromarray, random.integers(0, 256, (20, 8, 12), np.uint8))
        first.save(tmp_path / f"{name}.gif", save_all=True, append_images=others)
    read, kept = (make(tmp_path, split="time", cache_mb=size, **settings) for size in (0, 1))
    for one, other in zip((read.train(), read.test()), (kept.train(), kept.test()), strict=True):
        assert other.reading.kept
        for number in range(len(one)):
            pair = []
            for windows in (one, other):
                torch.manual_seed(number)
                pair.append(windows[number])
            assert torch.equal(pair[0]["past"], pair[1]["past"])
            assert torch.equal(pair[0]["future"], pair[1]["future"])
    assert read.fingerprint() == kept.fingerprint()


def test_new_settings_keep_the_fingerprint_at_their_defaults(folder):
    np.save(folder / "c.npy", np.zeros((40, 8, 12), np.uint8) + 3)
    before = make(folder).fingerprint()
    assert make(folder, split="auto", crop_height=0, augmentation="none", cache_mb=5).fingerprint() == before
    for changed in ({"split": "time"}, {"crop_width": 4}, {"augmentation": "flips"}, {"evaluation_windows": 1}):
        assert make(folder, **changed).fingerprint() != before


def test_windows_may_be_read_without_a_transform(folder):
    reading = Reading(1, 65535, 0, 0, {})
    windows = Windows([Clip(folder / "a.npy", 40, (8, 12), ())], (3, 2), 7, reading)
    assert [start for _, start in windows.starts] == [0, 7, 14, 21, 28, 35]
    assert windows[2]["past"].shape == (3, 1, 8, 12)


@pytest.mark.long
def test_training_is_the_same_with_frames_in_memory_and_with_workers(tmp_path):
    from PIL import Image

    random = np.random.default_rng(0)
    for name in "ab":
        (tmp_path / "clips" / name).mkdir(parents=True)
        for number in range(20):
            frame = Image.fromarray(random.integers(0, 256, (40, 48), np.uint8))
            frame.save(tmp_path / "clips" / name / f"{number}.png")
    weights = []
    for number, words in enumerate((["dataset.cache_mb=1"], ["run.workers=0"], ["run.workers=2"])):
        run = zoo.run(
            "unet-frames", f"dataset.folder={tmp_path / 'clips'}", "dataset.split=time", "dataset.frames_in=3",
            "dataset.frames_out=2", "dataset.color=gray", "dataset.crop_height=32", "dataset.crop_width=32",
            "dataset.augmentation=flips", "dataset.height=0", "dataset.width=0", "model.in_channels=3",
            "model.out_channels=2", "model.frame_channels=1", "model.base_channels=2", "model.depth=1",
            "model.head=linear", "model.residual_output=true", "run.steps=4", "run.batch_size=2", "run.device=cpu",
            "run.precision=float32", "run.preview_every=0", "run.evaluate_every=0", *words,
            folder=tmp_path / f"run{number}",
        )  # fmt: skip
        weights.append({name: tensor.clone() for name, tensor in run.model.state_dict().items()})
    for other in weights[1:]:
        assert all(torch.equal(tensor, other[name]) for name, tensor in weights[0].items())
