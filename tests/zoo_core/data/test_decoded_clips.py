"""Long clips are decoded once, into arrays in the cache."""

import os

import numpy as np
import pytest

from zoo_core.data import decoded_clips
from zoo_core.data.decoded_clips import decoded

SMALL, LARGE = decoded_clips.SMALL, decoded_clips.SMALL + 1


class Writer:
    def __init__(self):
        self.count = 0

    def __call__(self, path):
        self.count += 1
        with path.open("wb") as file:
            np.save(file, np.full(5, self.count))


@pytest.fixture
def clip(tmp_path, monkeypatch):
    monkeypatch.setenv("ZOO_HOME", str(tmp_path / "home"))
    path = tmp_path / "clip.gif"
    path.write_bytes(b"a clip")
    return path


def arrays(clip):
    return sorted((clip.parent / "home" / "cache" / "clips").iterdir())


def test_a_clip_is_decoded_once_until_it_changes(clip):
    write = Writer()
    assert [decoded(clip, "gray", lambda: LARGE, write).tolist() for _ in range(3)] == [[1] * 5] * 3
    clip.write_bytes(b"another clip")
    assert decoded(clip, "gray", lambda: LARGE, write).tolist() == [2] * 5
    assert decoded(clip, "rgb", lambda: LARGE, write).tolist() == [3] * 5


def test_a_small_clip_is_not_kept(clip):
    assert decoded(clip, "gray", lambda: SMALL, Writer()) is None
    assert not (clip.parent / "home").exists()


def test_a_damaged_array_is_deleted_and_decoded_again(clip):
    write = Writer()
    decoded(clip, "gray", lambda: LARGE, write)
    arrays(clip)[0].write_bytes(b"damaged")
    assert decoded(clip, "gray", lambda: LARGE, write) is None
    assert decoded(clip, "gray", lambda: LARGE, write).tolist() == [2] * 5


def test_arrays_that_were_not_used_for_a_day_make_room(clip, monkeypatch):
    write = Writer()
    decoded(clip, "gray", lambda: LARGE, write)
    first = arrays(clip)[0]
    monkeypatch.setattr(decoded_clips, "LIMIT", LARGE + first.stat().st_size - 1)
    assert decoded(clip, "rgb", lambda: LARGE, write) is None
    os.utime(first, (0, 0))
    assert decoded(clip, "rgb", lambda: LARGE, write).tolist() == [2] * 5
    assert first not in arrays(clip)


def test_an_error_of_the_clip_is_raised_and_leaves_nothing(clip):
    def write(path):
        path.write_bytes(b"half of it")
        raise RuntimeError("damaged")

    with pytest.raises(RuntimeError, match="damaged"):
        decoded(clip, "gray", lambda: LARGE, write)
    assert arrays(clip) == []
