"""Pictures and clips as files."""

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.utils import make_grid, save_image

import zoo_core as zoo
from zoo_core.data import image_output as pictures
from zoo_core.errors import BadFile


def drawn(*shape, seed=0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def test_pictures_are_a_grid(tmp_path):
    pictures.save(drawn(5, 1, 4, 6), tmp_path / "a.png", columns=3)
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.size == (3 * 8 + 2, 2 * 6 + 2)  # two pixels around each


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("count", "columns"), [(1, 8), (3, 8), (8, 8), (9, 4), (12, 5)])
def test_a_grid_and_its_file_are_those_of_torchvision(tmp_path, channels, count, columns):
    some = drawn(count, channels, 4, 6) * 1.2 - 0.1
    torch.testing.assert_close(pictures.grid(some, columns), make_grid(some, columns), rtol=0, atol=0)
    pictures.save(some, tmp_path / "a.png", columns)
    save_image(some, tmp_path / "b.png", nrow=columns)
    with Image.open(tmp_path / "a.png") as ours, Image.open(tmp_path / "b.png") as theirs:
        assert np.array_equal(np.asarray(ours), np.asarray(theirs))


def test_one_picture_is_written_as_it_is(tmp_path):
    picture = drawn(1, 3, 4, 6)
    pictures.save(picture, tmp_path / "a.png")
    torch.testing.assert_close(zoo.read_image(tmp_path / "a.png", 3), picture[0], rtol=0, atol=0.51 / 255)


@pytest.mark.parametrize("channels", [1, 3])
def test_clips_are_an_animation_of_grids(tmp_path, channels):
    pictures.save_clips(drawn(4, 7, channels, 5, 6), tmp_path / "a.gif", columns=3)
    with Image.open(tmp_path / "a.gif") as animation:
        assert animation.n_frames == 7
        assert animation.size == (3 * 8 + 2, 2 * 7 + 2)
        assert animation.info["duration"] == round(1000 * pictures.FRAME_SECONDS)


def test_a_grey_clip_is_read_as_it_was_written(tmp_path):
    clip = drawn(1, 7, 1, 5, 6).mul(255).round() / 255
    pictures.save_clips(clip, tmp_path / "a.gif")
    assert torch.allclose(zoo.read_frames(tmp_path / "a.gif", 1), clip[0], atol=1e-6)


def test_frames_that_are_equal_are_one_that_lasts_as_long(tmp_path):
    clip = torch.zeros(1, 5, 1, 4, 4)
    clip[:, 3:] = 1
    pictures.save_clips(clip, tmp_path / "a.gif")
    with Image.open(tmp_path / "a.gif") as animation:
        lasts = []
        for frame in range(animation.n_frames):
            animation.seek(frame)
            lasts.append(animation.info["duration"])
    assert lasts == [300, 200]


def test_pixels_of_a_picture_of_classes_are_the_classes_numbers(tmp_path):
    classes = torch.arange(256, dtype=torch.uint8).view(16, 16)
    pictures.save_classes(classes, tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.mode == "P"
        assert np.array_equal(np.asarray(picture), classes.numpy())
        colors = np.asarray(picture.convert("RGB")).reshape(256, 3)
    assert [tuple(map(int, color)) for color in colors] == pictures.palette(256)


def test_a_picture_of_classes_is_never_written_in_a_format_that_would_change_its_numbers(tmp_path):
    with pytest.raises(BadFile, match=r"a\.jpg should end in \.png: its pixels are numbers of classes"):
        pictures.save_classes(torch.zeros(2, 2, dtype=torch.uint8), tmp_path / "a.jpg")
    assert list(tmp_path.iterdir()) == []


def test_every_class_has_a_colour_of_its_own_and_the_first_is_black():
    colors = zoo.palette(256)
    assert colors[0] == (0, 0, 0)
    assert len(set(colors)) == 256
    assert all(0 <= value <= 255 for color in colors for value in color)
    assert zoo.palette(3) == colors[:3]
    assert zoo.palette(1) == [(0, 0, 0)]


def test_neighbouring_classes_are_far_apart():
    colors = np.array(zoo.palette(22), dtype=int)
    assert np.abs(np.diff(colors, axis=0)).sum(axis=1).min() > 100


def test_an_array_is_read_as_it_was_written(tmp_path):
    clip = drawn(2, 3, 1, 4, 4)
    pictures.save_array(clip, tmp_path / "a.npy")
    assert np.array_equal(np.load(tmp_path / "a.npy", allow_pickle=False), clip.numpy())


@pytest.mark.parametrize(
    ("write", "name"),
    [
        (lambda path: pictures.save(torch.zeros(1, 1, 2, 2), path), "a.png"),
        (lambda path: pictures.save(torch.zeros(1, 1, 2, 2), path), "../a.picture"),
        (lambda path: pictures.save_clips(torch.zeros(1, 2, 1, 2, 2), path), "a.gif"),
        (lambda path: pictures.save_classes(torch.zeros(2, 2, dtype=torch.uint8), path), "a.png"),
        (lambda path: pictures.save_array(torch.zeros(2), path), "a.npy"),
    ],
)
def test_a_file_that_cannot_be_written_says_so(tmp_path, write, name):
    path = tmp_path / "nowhere" / name
    with pytest.raises(BadFile, match="could not be written") as refused:
        write(path)
    assert refused.value.hint.startswith("Choose ")


def test_bytes_are_drawn_as_what_they_are(tmp_path):
    drawn = torch.tensor([[[[0, 128], [254, 255]]]], dtype=torch.uint8)
    pictures.save(drawn, tmp_path / "bytes.png")
    with Image.open(tmp_path / "bytes.png") as picture:
        assert np.asarray(picture)[..., 0].tolist() == [[0, 128], [254, 255]]


def test_an_array_may_have_a_gradient_or_few_bits(tmp_path):
    pictures.save_array(torch.ones(2, requires_grad=True), tmp_path / "a.npy")
    pictures.save_array(torch.ones(2, dtype=torch.bfloat16), tmp_path / "b.npy")
    assert np.load(tmp_path / "a.npy").tolist() == np.load(tmp_path / "b.npy").tolist() == [1, 1]
