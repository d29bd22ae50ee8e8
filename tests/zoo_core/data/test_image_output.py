"""Writing images, clips, class maps and arrays."""

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.utils import make_grid, save_image

import zoo_core as zoo
from zoo_core.data import image_output
from zoo_core.errors import BadFile


def random_images(*shape, seed=0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def test_images_are_arranged_in_a_grid(tmp_path):
    image_output.save(random_images(5, 1, 4, 6), tmp_path / "a.png", columns=3)
    with Image.open(tmp_path / "a.png") as image:
        assert image.size == (3 * 8 + 2, 2 * 6 + 2)  # two pixels around each


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("count", "columns"), [(1, 8), (3, 8), (8, 8), (9, 4), (12, 5)])
def test_a_grid_and_its_file_equal_those_of_torchvision(tmp_path, channels, count, columns):
    images = random_images(count, channels, 4, 6) * 1.2 - 0.1
    torch.testing.assert_close(image_output.grid(images, columns), make_grid(images, columns), rtol=0, atol=0)
    image_output.save(images, tmp_path / "a.png", columns)
    save_image(images, tmp_path / "b.png", nrow=columns)
    with Image.open(tmp_path / "a.png") as ours, Image.open(tmp_path / "b.png") as theirs:
        assert np.array_equal(np.asarray(ours), np.asarray(theirs))


def test_a_single_image_is_written_without_a_border(tmp_path):
    image = random_images(1, 3, 4, 6)
    image_output.save(image, tmp_path / "a.png")
    torch.testing.assert_close(zoo.read_image(tmp_path / "a.png", 3), image[0], rtol=0, atol=0.51 / 255)


@pytest.mark.parametrize("channels", [1, 3])
def test_clips_are_written_as_a_gif_of_grids(tmp_path, channels):
    image_output.save_clips(random_images(4, 7, channels, 5, 6), tmp_path / "a.gif", columns=3)
    with Image.open(tmp_path / "a.gif") as animation:
        assert animation.n_frames == 7
        assert animation.size == (3 * 8 + 2, 2 * 7 + 2)
        assert animation.info["duration"] == round(1000 * image_output.FRAME_SECONDS)


def test_a_gray_clip_is_read_back_as_written(tmp_path):
    clip = random_images(1, 7, 1, 5, 6).mul(255).round() / 255
    image_output.save_clips(clip, tmp_path / "a.gif")
    assert torch.allclose(zoo.read_frames(tmp_path / "a.gif", 1), clip[0], atol=1e-6)


def test_equal_frames_are_stored_once_with_their_total_duration(tmp_path):
    clip = torch.zeros(1, 5, 1, 4, 4)
    clip[:, 3:] = 1
    image_output.save_clips(clip, tmp_path / "a.gif")
    with Image.open(tmp_path / "a.gif") as animation:
        durations = []
        for frame in range(animation.n_frames):
            animation.seek(frame)
            durations.append(animation.info["duration"])
    assert durations == [300, 200]


def test_pixel_values_of_a_class_map_are_the_class_indices(tmp_path):
    classes = torch.arange(256, dtype=torch.uint8).view(16, 16)
    image_output.save_classes(classes, tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as image:
        assert image.mode == "P"
        assert np.array_equal(np.asarray(image), classes.numpy())
        colors = np.asarray(image.convert("RGB")).reshape(256, 3)
    assert [tuple(map(int, color)) for color in colors] == image_output.palette(256)


def test_a_class_map_is_never_written_in_a_lossy_format(tmp_path):
    with pytest.raises(BadFile, match=r"a\.jpg should end in \.png: class indices are stored losslessly"):
        image_output.save_classes(torch.zeros(2, 2, dtype=torch.uint8), tmp_path / "a.jpg")
    assert list(tmp_path.iterdir()) == []


def test_every_class_has_its_own_color_and_the_first_is_black():
    colors = zoo.palette(256)
    assert colors[0] == (0, 0, 0)
    assert len(set(colors)) == 256
    assert all(0 <= value <= 255 for color in colors for value in color)
    assert zoo.palette(3) == colors[:3]
    assert zoo.palette(1) == [(0, 0, 0)]


def test_colors_of_neighboring_classes_differ_clearly():
    colors = np.array(zoo.palette(22), dtype=int)
    assert np.abs(np.diff(colors, axis=0)).sum(axis=1).min() > 100


def test_an_array_is_read_back_as_written(tmp_path):
    clip = random_images(2, 3, 1, 4, 4)
    image_output.save_array(clip, tmp_path / "a.npy")
    assert np.array_equal(np.load(tmp_path / "a.npy", allow_pickle=False), clip.numpy())


@pytest.mark.parametrize(
    ("write", "name"),
    [
        (lambda path: image_output.save(torch.zeros(1, 1, 2, 2), path), "a.png"),
        (lambda path: image_output.save(torch.zeros(1, 1, 2, 2), path), "../a.unknown"),
        (lambda path: image_output.save_clips(torch.zeros(1, 2, 1, 2, 2), path), "a.gif"),
        (lambda path: image_output.save_classes(torch.zeros(2, 2, dtype=torch.uint8), path), "a.png"),
        (lambda path: image_output.save_array(torch.zeros(2), path), "a.npy"),
    ],
)
def test_a_file_that_cannot_be_written_is_reported(tmp_path, write, name):
    path = tmp_path / "nowhere" / name
    with pytest.raises(BadFile, match="could not be written") as refused:
        write(path)
    assert refused.value.hint.startswith("Choose ")


def test_uint8_images_are_written_unchanged(tmp_path):
    image = torch.tensor([[[[0, 128], [254, 255]]]], dtype=torch.uint8)
    image_output.save(image, tmp_path / "bytes.png")
    with Image.open(tmp_path / "bytes.png") as image:
        assert np.asarray(image)[..., 0].tolist() == [[0, 128], [254, 255]]


def test_an_array_may_require_grad_or_be_bfloat16(tmp_path):
    image_output.save_array(torch.ones(2, requires_grad=True), tmp_path / "a.npy")
    image_output.save_array(torch.ones(2, dtype=torch.bfloat16), tmp_path / "b.npy")
    assert np.load(tmp_path / "a.npy").tolist() == np.load(tmp_path / "b.npy").tolist() == [1, 1]
