"""Clips of several kinds are read alike, and only the frames that are requested."""

import numpy as np
import pytest
import torch
from PIL import Image

import zoo_core as zoo
from zoo_core.errors import BadFile


def moving(count=9, height=12, width=16):
    """A bright square that moves (T, H, W)."""
    frames = np.zeros((count, height, width), np.uint8)
    for number in range(count):
        frames[number, 2:6, number : number + 4] = 40 + 10 * number
    return frames


def saved(folder, name, frames):
    path = folder / name
    if path.suffix == ".npy":
        np.save(path, frames)
    elif path.suffix == ".npz":
        (np.savez_compressed if "packed" in name else np.savez)(path, frames)
    else:
        first, *others = map(Image.fromarray, frames)
        options = {"lossless": True} if path.suffix == ".webp" else {}
        first.save(path, save_all=True, append_images=others, **options)
    return path


KINDS = ["a.gif", "a.apng", "a.webp", "a.tif", "a.npy", "stored.npz", "packed.npz"]


@pytest.fixture
def large_clips(monkeypatch):
    """Every clip counts as a large one, which is decoded into the cache or mapped into memory."""
    monkeypatch.setattr("zoo_core.data.decoded_clips.SMALL", 0)
    monkeypatch.setattr("zoo_core.data.arrays.SMALL", 0)


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("large", [False, True])
def test_a_window_is_the_part_of_the_clip(tmp_path, request, name, large):
    if large:
        request.getfixturevalue("large_clips")
    frames = moving()
    path = saved(tmp_path, name, frames)
    expected = torch.from_numpy(frames).unsqueeze(1) / 255
    assert zoo.clip_shape(path) == (9, 12, 16)
    whole = zoo.read_frames(path, 1)
    torch.testing.assert_close(whole, expected)
    assert torch.equal(zoo.read_frames(path, 1, 6, 8), whole[6:8])
    assert torch.equal(zoo.read_frames(path, 1, -2), whole[-2:])
    torch.testing.assert_close(zoo.read_frames(path, 3, 3, 5), expected[3:5].expand(-1, 3, -1, -1))
    with pytest.raises(BadFile, match="has fewer than 10 frames"):
        zoo.read_frames(path, 1, 9)


@pytest.mark.parametrize("shape", [(3, 9, 12, 16), (3, 9, 12, 16, 1)])
def test_an_array_may_contain_several_clips(tmp_path, shape):
    frames = np.stack([moving(), moving()[::-1], np.roll(moving(), 4, axis=1)])
    path = saved(tmp_path, "a.npy", frames.reshape(shape))
    assert zoo.clip_shape(path) == (9, 12, 16)
    for index in range(3):
        expected = torch.from_numpy(frames[index, 2:5].copy()).unsqueeze(1) / 255
        assert torch.equal(zoo.read_frames(path, 1, 2, 5, clip=index), expected)
    named = path.with_name("a.npy#clip=2")
    assert torch.equal(zoo.read_frames(named, 1), zoo.read_frames(path, 1, clip=2))
    assert zoo.clip_shape(named) == (9, 12, 16)
    with pytest.raises(BadFile, match="contains 3 clips") as error:
        zoo.read_frames(path, 1)
    assert "a.npy#clip=0" in error.value.hint
    with pytest.raises(BadFile, match="numbered from 0, but no clip 3"):
        zoo.read_frames(path.with_name("a.npy#clip=3"), 1)


@pytest.mark.parametrize("channels", [1, 3])
def test_an_array_with_channels_before_rows_is_refused_with_the_cure(tmp_path, channels):
    frames = np.stack([moving(20)] * channels, axis=1)  # (T, C, H, W)
    with pytest.raises(
        BadFile, match=rf"one clip with its {channels} channels .* or 20 clips of {channels} frames"
    ) as e:
        zoo.read_frames(saved(tmp_path, "a.npy", frames), channels, 0, 1)
    assert "array.transpose(0, 2, 3, 1)" in e.value.hint
    cured = saved(tmp_path, "b.npy", frames.transpose(0, 2, 3, 1))
    assert torch.equal(zoo.read_frames(cured, channels), torch.from_numpy(frames.copy()) / 255)


def test_an_array_whose_first_axis_is_time_is_refused_with_the_cure(tmp_path):
    frames = np.stack([np.roll(moving(20), 7 * number, axis=2) for number in range(5)])
    path = saved(tmp_path, "a.npy", frames.transpose(1, 0, 2, 3))
    with pytest.raises(BadFile, match=r"of shape \(20, 5, 12, 16\) whose first axis is time") as refused:
        zoo.read_frames(path, 1)
    assert refused.value.hint == "Save array.transpose(1, 0, 2, 3)."


@pytest.mark.parametrize("name", ["a.npz", "b.npz"])
def test_a_large_archive_of_objects_is_refused_without_unpickling(tmp_path, large_clips, name):
    objects = np.array([[[print]] * 9] * 9, dtype=object)
    (np.savez if name == "a.npz" else np.savez_compressed)(tmp_path / name, objects)
    with pytest.raises(BadFile, match="holds Python objects or is not an array"):
        zoo.read_frames(tmp_path / name, 1)
