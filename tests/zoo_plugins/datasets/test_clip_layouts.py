"""Which clips are in a folder."""

import numpy as np
import pytest
from PIL import Image

import zoo_core as zoo
from zoo_plugins.datasets.clip_layouts import contains_clips, contains_clips_below, find

FRAMES = np.stack(
    [np.roll(np.pad(np.full((8, 8), 200, np.uint8), ((4, 4), (0, 40))), 3 * k, axis=1) for k in range(12)]
)
NOISE = np.random.default_rng(0).integers(0, 256, (12, 16, 48), np.uint8)


def images(folder, frames=FRAMES, name="{}.png"):
    folder.mkdir(parents=True, exist_ok=True)
    for number, frame in enumerate(frames, start=1):
        Image.fromarray(frame).save(folder / name.format(number))


def animation(path, frames=FRAMES):
    path.parent.mkdir(parents=True, exist_ok=True)
    first, *others = map(Image.fromarray, frames)
    first.save(path, save_all=True, append_images=others)


def names(found):
    return {split: [f"{clip.path.name}:{clip.length}" for clip in clips] for split, clips in found.splits.items()}


def test_images_without_sub_folders_are_one_sequence(tmp_path):
    images(tmp_path)
    (tmp_path / "about.txt").write_text("notes")
    found = find(tmp_path)
    assert names(found) == {"": [f"{tmp_path.name}:12"]}
    assert [file.stem for file in found.clips[0].files] == [str(number) for number in range(1, 13)]
    assert found.left_out == ["left out: 1 file ending in .txt"]


def test_images_beside_clips_are_left_out(tmp_path):
    images(tmp_path / "a")
    animation(tmp_path / "b.tif")
    Image.fromarray(FRAMES[0]).save(tmp_path / "cover.png")
    found = find(tmp_path)
    assert names(found) == {"": ["a:12", "b.tif:12"]}
    assert found.left_out == ["left out: 1 file ending in .png"]


def test_a_folder_of_images_beside_a_clip_is_a_clip_and_images_beside_clips_are_said(tmp_path):
    images(tmp_path / "a" / "photos", NOISE)
    animation(tmp_path / "a" / "b.gif")
    assert contains_clips(tmp_path / "a")
    images(tmp_path / "b")
    animation(tmp_path / "b" / "c.gif")
    assert find(tmp_path / "b").left_out == [
        "left out: 12 files ending in .png; images beside clips are the frames of one only in a folder of their own"
    ]


def test_an_array_of_several_clips_is_several_clips(tmp_path):
    np.save(tmp_path / "a.npy", np.stack([FRAMES] * 3))
    assert [clip.index for clip in find(tmp_path).clips] == [0, 1, 2]


def test_splits_that_are_given_are_told_from_clips_of_these_names(tmp_path):
    for split in ("train", "valid"):
        images(tmp_path / split / "one")
        animation(tmp_path / split / "two.gif")
    (tmp_path / "about.txt").write_text("notes")
    found = find(tmp_path)
    assert names(found) == {"train": ["one:12", "two.gif:12"], "validation": ["one:12", "two.gif:12"]}
    assert found.left_out == ["left out beside the splits: 1 file ending in .txt"]
    for name in ("train", "test"):
        images(tmp_path / "clips" / name)
    assert names(find(tmp_path / "clips")) == {"": ["test:12", "train:12"]}


def test_links_to_clips_that_are_there_and_to_folders_above_are_not_followed(tmp_path):
    images(tmp_path / "clips" / "b")
    (tmp_path / "clips" / "a").symlink_to(tmp_path / "clips" / "b")
    (tmp_path / "clips" / "up").symlink_to(tmp_path)
    (tmp_path / "clips" / "loop").symlink_to(tmp_path / "clips" / "loop")
    assert names(find(tmp_path / "clips")) == {"": ["b:12"]}


def test_frames_that_differ_in_size_and_stills_that_are_not_read_are_refused(tmp_path):
    images(tmp_path / "a")
    Image.fromarray(FRAMES[0, :9]).save(tmp_path / "a" / "7.png")
    with pytest.raises(zoo.BadFile, match=r"a/7\.png is 9 x 48, but the first frame, 1\.png, is 16 x 48"):
        find(tmp_path)


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda f: images(f / "a"), True),
        (lambda f: images(f / "a", NOISE), False),
        (lambda f: images(f), True),
        (lambda f: images(f, NOISE), False),
        (lambda f: animation(f / "a.gif", NOISE), True),
        (lambda f: animation(f / "class" / "a.gif", NOISE), True),
        (lambda f: (images(f / "a", NOISE), images(f / "b", NOISE), animation(f / "preview.gif")), False),
        (lambda f: (images(f / "a", NOISE), animation(f / "a" / "animated.gif")), False),
        (lambda f: (images(f / "a"), animation(f / "b.gif")), True),
        (lambda f: np.save(f / "a.npy", FRAMES), True),
        (lambda f: np.save(f / "a.npy", FRAMES[0]), False),
        (lambda f: np.save(f / "a.npy", np.stack([FRAMES[0]] * 3, axis=-1)), False),
        (lambda f: (f / "a.mp4").write_bytes(b"perhaps a video"), True),
        (lambda f: (f / "notes.txt").write_text("nothing"), False),
        (lambda f: [images(f / split / "a") for split in ("train", "test")], True),
        (lambda f: [images(f / split / "a", NOISE) for split in ("train", "test")], False),
    ],
)
def test_folders_of_clips_are_told_from_folders_of_pictures(tmp_path, make, expected):
    make(tmp_path)
    assert contains_clips(tmp_path) is expected


def test_clips_may_be_one_level_deeper(tmp_path):
    images(tmp_path / "data" / "a")
    assert contains_clips_below(tmp_path / "data")
    assert not contains_clips_below(tmp_path / "data" / "a")
