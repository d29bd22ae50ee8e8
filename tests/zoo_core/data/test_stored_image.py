"""Images of any number of bits and channels are read with their values, or refused with what to do."""

import struct

import numpy as np
import pytest
import torch
from PIL import Image

import zoo_core as zoo
from zoo_core.errors import BadFile

GRAY = (np.arange(48).reshape(6, 8) * 5).astype(np.uint8)
COLOR = np.stack([GRAY, 255 - GRAY, GRAY // 2], axis=2)
DEEP = GRAY.astype(np.uint16) * 257 + 3


def save(path, array):
    (np.save if path.suffix == ".npy" else lambda path, array: Image.fromarray(array).save(path))(path, array)
    return path


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.pgm", b"P5 2 1 3\n\0\3", [0.0, 1.0]),
        ("a.pgm", b"P5 2 1 4095\n" + struct.pack(">2H", 0, 4095), [0.0, 1.0]),
        ("a.pgm", b"P2 2 1 15\n3 15\n", [0.2, 1.0]),
        ("a.pfm", b"Pf\n2 1\n-1.0\n" + struct.pack("<2f", 0.5, 1), [0.5, 1.0]),
        ("a.pbm", b"P4 2 1\n" + bytes([0b10000000]), [0.0, 1.0]),
    ],
)
def test_a_portable_map_says_which_value_is_white(tmp_path, name, content, expected):
    (tmp_path / name).write_bytes(content)
    assert zoo.read_image(tmp_path / name, 1).flatten().tolist() == pytest.approx(expected)


@pytest.mark.parametrize("compression", [None, "tiff_lzw", "tiff_adobe_deflate", "packbits"])
def test_a_tiff_of_8_bits_has_the_pixels_of_a_png(tmp_path, compression):
    Image.fromarray(COLOR).save(tmp_path / "a.tif", compression=compression)
    save(tmp_path / "a.png", COLOR)
    for channels in (1, 3):
        assert torch.equal(zoo.read_image(tmp_path / "a.tif", channels), zoo.read_image(tmp_path / "a.png", channels))


def test_a_lossless_webp_and_a_tiff_of_16_bits_keep_their_values(tmp_path):
    Image.fromarray(COLOR).save(tmp_path / "a.webp", lossless=True)
    assert torch.equal(
        zoo.read_image(tmp_path / "a.webp", 3).mul(255).round().byte().permute(1, 2, 0), torch.tensor(COLOR)
    )
    for name in ("a.tif", "a.npy"):
        read = zoo.read_image(save(tmp_path / name, DEEP), 1)[0]
        assert np.array_equal((read.numpy() * 65535).round(), DEEP)


@pytest.mark.parametrize("name", ["a.tif", "a.npy"])
def test_floats_beyond_1_need_the_value_of_white(tmp_path, name):
    path = save(tmp_path / name, GRAY.astype(np.float32))
    with pytest.raises(BadFile, match="holds values from 0 to 235") as error:
        zoo.read_image(path, 1)
    assert "max_value=255" in error.value.hint
    assert np.allclose(zoo.read_image(path, 1, max_value=255)[0].numpy(), GRAY / 255)
    with pytest.raises(BadFile, match="holds values up to 235, but max_value is 200"):
        zoo.read_image(path, 1, max_value=200)


@pytest.mark.parametrize(("value", "message"), [(np.nan, "nan"), (np.inf, "inf"), (-1, "from -1 to")])
@pytest.mark.parametrize("name", ["a.tif", "a.npy"])
@pytest.mark.parametrize("max_value", [None, 255])
def test_values_that_no_image_has_are_refused(tmp_path, name, value, message, max_value):
    values = np.full((4, 4), 0.5, np.float32)
    values[1, 2] = value
    path = save(tmp_path / name, values)
    with pytest.raises(BadFile, match=message):
        zoo.read_image(path, 3, max_value)
    if value != -1:  # of negative values the data set says more, which knows all files
        with pytest.raises(BadFile, match=message):
            zoo.check_images([path], clips=False)


@pytest.mark.parametrize("dtype", [np.int16, np.int32, np.uint32, np.int64])
def test_integers_without_a_usual_white_need_it(tmp_path, dtype):
    path = save(tmp_path / "a.npy", (DEEP // 16).astype(dtype))
    with pytest.raises(BadFile, match="does not say which value is white") as error:
        zoo.read_image(path, 1)
    assert "max_value=4095" in error.value.hint
    assert np.allclose(zoo.read_image(path, 1, max_value=4095)[0].numpy(), (DEEP // 16) / 4095)


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.npy"])
def test_max_value_applies_to_8_bits(tmp_path, name):
    path = save(tmp_path / name, (GRAY > 100).astype(np.uint8))
    with pytest.raises(BadFile, match="values of 0 and 1 only"):
        zoo.read_image(path, 1)
    assert np.array_equal(zoo.read_image(path, 1, max_value=1)[0].numpy(), GRAY > 100)
    assert np.allclose(zoo.read_image(path, 1, max_value=255)[0].numpy(), (GRAY > 100) / 255)
    assert torch.equal(zoo.read_image(path, 1, max_value=4095), zoo.read_image(path, 1, max_value=255))
    few = save(tmp_path / name, GRAY % 16)
    assert np.allclose(zoo.read_image(few, 1, max_value=15)[0].numpy(), (GRAY % 16) / 15)
    with pytest.raises(BadFile, match="holds values up to 15, but max_value is 14"):
        zoo.read_image(few, 1, max_value=14)


def test_a_dark_image_with_noise_of_0_and_1_is_read(tmp_path):
    values = np.zeros((40, 40), np.uint8)
    values[3, 4] = 1
    assert zoo.read_image(save(tmp_path / "a.png", values), 1).max() == pytest.approx(1 / 255)


@pytest.mark.parametrize("channels", [2, 4, 5])
def test_an_array_is_read_with_all_of_its_channels(tmp_path, channels):
    values = np.random.default_rng(0).integers(0, 256, (6, 8, channels), dtype=np.uint8)
    path = save(tmp_path / "a.npy", values)
    assert np.allclose(zoo.read_image(path, channels).numpy().transpose(1, 2, 0), values / 255)
    with pytest.raises(BadFile, match="with 1 or 3 channels") as error:
        zoo.read_image(path, 3)
    assert f"dataset.channels={channels}" in error.value.hint
    with pytest.raises(BadFile, match="channels, but should have 7"):
        zoo.read_image(path, 7)


def test_transparency_is_a_channel_if_four_are_wanted(tmp_path):
    values = np.dstack([COLOR, GRAY])
    path = save(tmp_path / "a.png", values)
    assert np.allclose(zoo.read_image(path, 4).numpy().transpose(1, 2, 0), values / 255)
    assert zoo.check_images([path])[0].bands == 4


def test_an_archive_of_arrays_is_no_image(tmp_path):
    np.savez_compressed(tmp_path / "a.npz", np.zeros((20000, 20000), np.uint8))
    (tmp_path / "a.npz").rename(tmp_path / "a.npy")
    with pytest.raises(BadFile, match="is an archive of arrays"):
        zoo.read_image(tmp_path / "a.npy", 1)


def test_channels_first_are_refused_with_the_order_that_is_meant(tmp_path):
    path = save(tmp_path / "a.npy", np.zeros((3, 60, 300), np.uint8))
    with pytest.raises(BadFile, match="holds images of shape") as error:
        zoo.read_image(path, 3)
    assert "channels last" in error.value.hint


def test_the_facts_of_an_image_have_its_type_and_range(tmp_path):
    cases = {
        "a.png": (GRAY, ("uint8", 0, 235)),
        "b.tif": (DEEP, ("uint16", 3, 235 * 257 + 3)),
        "c.tif": ((GRAY / 255).astype(np.float32), ("float32", 0, pytest.approx(235 / 255))),
        "d.npy": (COLOR, ("uint8", 0, 255)),
        "e.npy": (GRAY > 100, ("uint8", 0, 255)),
    }
    for name, (values, expected) in cases.items():
        facts = zoo.check_images([save(tmp_path / name, values)], clips=False)[0]
        assert (facts.dtype, facts.lowest, facts.highest) == expected
        assert (facts.height, facts.width) == (6, 8)
