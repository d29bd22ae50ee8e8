"""What is found in clips before the first step."""

import numpy as np
import pytest
from PIL import Image

import zoo_core as zoo
from zoo_core.errors import BadFile


def test_the_facts_are_in_the_order_of_the_files(tmp_path):
    frames = np.zeros((5, 8, 12), np.uint8)
    frames[:, 2:4] = 200
    np.save(tmp_path / "a.npy", frames)
    np.save(tmp_path / "many.npy", np.stack([frames] * 3))
    first, *others = map(Image.fromarray, frames)
    first.save(tmp_path / "b.gif", save_all=True, append_images=[one.rotate(k) for k, one in enumerate(others)])
    first.convert("RGB").save(tmp_path / "c.webp", save_all=True, append_images=[Image.new("RGB", (12, 8), "red")])
    first.save(tmp_path / "d.png")
    found = zoo.check_clips([tmp_path / name for name in ("d.png", "many.npy", "c.webp", "a.npy")])
    assert [(one.clips, one.frames, one.height, one.width, one.channels) for one in found] == [
        (1, 1, 8, 12, 1),
        (3, 5, 8, 12, 1),
        (1, 2, 8, 12, 3),
        (1, 5, 8, 12, 1),
    ]


@pytest.mark.parametrize("value", [1.5, float("nan")])
def test_each_clip_of_an_array_is_checked(tmp_path, value):
    clips = np.zeros((3, 4, 8, 8), np.float32)
    clips[2, 3, 7, 7] = value
    np.save(tmp_path / "a.npy", clips)
    with pytest.raises(BadFile, match=r"a\.npy holds values from"):
        zoo.check_clips([tmp_path / "a.npy"])
