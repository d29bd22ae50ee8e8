"""TIFF files of several pages, and what of them is refused."""

import numpy as np
import pytest
import torch
from PIL import Image, TiffImagePlugin

import zoo_core as zoo
from zoo_core.errors import BadFile


def stack(path, pages, description=None):
    first, *others = [Image.fromarray(page) for page in pages]
    info = TiffImagePlugin.ImageFileDirectory_v2()
    if description:
        info[270] = description
    first.save(path, save_all=True, append_images=others, tiffinfo=info)
    return path


def ramp(dtype, largest, shape=(4, 6)):
    return (np.arange(np.prod(shape)).reshape(shape) / (np.prod(shape) - 1) * largest).astype(dtype)


def test_pages_of_16_bits_are_divided_by_white(tmp_path):
    path = stack(tmp_path / "a.tif", [ramp(np.uint16, 65535), ramp(np.uint16, 30000)])
    read = zoo.read_frames(path, 1)
    assert torch.allclose(read[1, 0], torch.from_numpy(ramp(np.uint16, 30000).astype(np.float32) / 65535))
    assert zoo.check_clips([path])[0].brightest == 65535


def test_pages_of_12_bits_in_16_need_the_value_of_white(tmp_path):
    path = stack(tmp_path / "a.tif", [ramp(np.uint16, 4095)] * 3)
    with pytest.raises(BadFile, match="16-bit image whose values end at 4095") as refused:
        zoo.read_frames(path, 1)
    assert "max_value=4095" in refused.value.hint
    assert zoo.read_frames(path, 1, max_value=4095).max() == 1
    assert zoo.check_clips([path])[0].brightest == 4095


def test_pages_of_floats_are_read_if_they_are_in_the_unit_range(tmp_path):
    pages = [ramp(np.float32, 1.0), ramp(np.float32, 0.5)]
    path = stack(tmp_path / "a.tif", pages)
    assert torch.equal(zoo.read_frames(path, 1)[:, 0], torch.from_numpy(np.stack(pages)))
    assert zoo.check_clips([path])[0] == zoo.ClipFacts(2, 4, 6, 1, None, False)


@pytest.mark.parametrize("value", [1.5, -2.0, float("nan"), float("inf")])
def test_floats_beyond_the_unit_range_are_refused_by_the_check(tmp_path, value):
    page = ramp(np.float32, 1.0)
    page[2, 2] = value
    path = stack(tmp_path / "a.tif", [ramp(np.float32, 1.0), page])
    with pytest.raises(BadFile, match=r"a\.tif holds values from"):
        zoo.check_clips([path])


def test_pages_of_several_sizes_are_refused(tmp_path):
    path = stack(tmp_path / "a.tif", [ramp(np.uint8, 255), ramp(np.uint8, 255, (8, 6))])
    with pytest.raises(BadFile, match=r"page 1 of .*a\.tif is 8 x 6, but the first is 4 x 6"):
        zoo.check_clips([path])


def test_a_stack_of_imagej_with_pages_that_are_not_listed_is_refused(tmp_path):
    path = stack(tmp_path / "a.tif", [ramp(np.uint8, 255)], "ImageJ=1.53\nimages=40\nslices=40\n")
    with pytest.raises(BadFile, match="stack of ImageJ with 40 images, but only 1 can be read"):
        zoo.check_clips([path])


@pytest.mark.parametrize("ending", [".tif", ".webp"])
def test_a_file_that_ends_early_is_refused(tmp_path, ending):
    random = np.random.default_rng(0)
    pages = [random.integers(0, 256, (32, 32), np.uint8) for _ in range(4)]
    path = tmp_path / f"a{ending}"
    first, *others = map(Image.fromarray, pages)
    first.save(path, save_all=True, append_images=others)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(BadFile, match=rf"a{ending} "):
        zoo.check_clips([path])


def test_transparent_frames_are_blended_with_black(tmp_path):
    frames = [Image.new("RGBA", (8, 8), (200, 100, 50, alpha)) for alpha in (255, 0)]
    frames[0].save(tmp_path / "a.webp", save_all=True, append_images=frames[1:], lossless=True)
    read = zoo.read_frames(tmp_path / "a.webp", 3)
    assert read[0, :, 0, 0].mul(255).round().tolist() == [200, 100, 50]
    assert not read[1].any()
    assert zoo.check_clips([tmp_path / "a.webp"])[0].transparent
