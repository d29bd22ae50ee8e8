"""The values of masks: as stored where they are exact, by gray value where indices mean nothing, else refused."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

import zoo_core as zoo

CLASSES = (np.arange(48).reshape(6, 8) % 5).astype(np.uint8)


def with_palette(indices, colors):
    image = Image.fromarray(indices)
    image.putpalette([value for color in colors for value in color])
    return image


def read(path):
    return zoo.read_mask(path).numpy()


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.gif"])
def test_gray_values_are_read_from_every_format(tmp_path, name):
    Image.fromarray(CLASSES * 50).save(tmp_path / name)
    assert np.array_equal(read(tmp_path / name), CLASSES * 50)


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.gif"])
@pytest.mark.parametrize("values", [[0, 2], [255], [7], [0, 255], [3, 200]])
def test_a_gray_palette_is_read_by_its_grays_however_the_writer_numbers_them(tmp_path, name, values):
    gray = np.resize(np.array(values, np.uint8), (6, 8))
    Image.fromarray(gray).save(tmp_path / name)
    assert np.array_equal(read(tmp_path / name), gray)
    order = sorted(values, reverse=True)
    indices = np.searchsorted(-np.array(order), -gray.astype(int)).astype(np.uint8)
    with_palette(indices, [(value,) * 3 for value in order]).save(tmp_path / name)
    assert np.array_equal(read(tmp_path / name), gray)


def test_two_palettes_of_black_and_white_in_another_order_give_the_same_values(tmp_path):
    squares = CLASSES % 2
    with_palette(squares, [(0, 0, 0), (255, 255, 255)]).save(tmp_path / "a.png")
    with_palette(1 - squares, [(255, 255, 255), (0, 0, 0)]).save(tmp_path / "b.png")
    assert np.array_equal(read(tmp_path / "a.png"), squares * 255)
    assert np.array_equal(read(tmp_path / "b.png"), squares * 255)


def test_indices_of_a_palette_of_colors_are_the_values(tmp_path):
    colors = [(0, 0, 0), (128, 0, 0), (0, 128, 0), (128, 128, 0), (128, 128, 128)]
    with_palette(CLASSES, colors).save(tmp_path / "a.png")
    assert np.array_equal(read(tmp_path / "a.png"), CLASSES)
    with_palette(np.zeros_like(CLASSES), [(255, 255, 255), (255, 0, 0)]).save(tmp_path / "b.png")
    assert read(tmp_path / "b.png").max() == 0
    with_palette(CLASSES, colors).save(tmp_path / "c.png", transparency=0)
    assert np.array_equal(read(tmp_path / "c.png"), CLASSES)


def test_a_mask_that_zoo_predict_writes_can_be_read(tmp_path):
    import torch

    from zoo_core.data.image_output import save_classes

    for count in (2, 5):
        mask = torch.from_numpy(CLASSES % count)
        save_classes(mask, tmp_path / "mask.png")
        assert np.array_equal(read(tmp_path / "mask.png"), CLASSES % count)


@pytest.mark.parametrize("highest", [4, 300, 65535])
def test_values_of_16_bits_are_exact(tmp_path, highest):
    values = CLASSES.astype(np.uint16)
    values[0, 0] = highest
    Image.fromarray(values).save(tmp_path / "a.png")
    assert np.array_equal(read(tmp_path / "a.png"), values)


def test_one_bit_is_0_or_1(tmp_path):
    Image.fromarray(CLASSES > 2).save(tmp_path / "a.png")
    assert np.array_equal(read(tmp_path / "a.png"), CLASSES > 2)


def test_the_orientation_is_applied(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(CLASSES).save(tmp_path / "a.png", exif=exif)
    assert np.array_equal(read(tmp_path / "a.png"), np.rot90(CLASSES, -1))


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA", "CMYK", "L"])
def test_colors_transparency_and_lossy_files_are_refused(tmp_path, mode):
    name = "a.jpg" if mode in ("CMYK", "L") else "a.png"
    Image.fromarray(CLASSES).convert(mode).save(tmp_path / name)
    lossy = (tmp_path / "a.png").exists()
    message = f"is an image of mode {mode}, but its pixels should be class indices" if lossy else "is a JPEG, which"
    with pytest.raises(zoo.BadFile, match=message) as error:
        read(tmp_path / name)
    assert "in grayscale" in error.value.hint
    if name == "a.jpg":  # the content counts, not the name
        (tmp_path / name).rename(tmp_path / "b.png")
        with pytest.raises(zoo.BadFile, match="is a JPEG, which"):
            read(tmp_path / "b.png")


def test_an_animation_is_refused(tmp_path):
    frames = [Image.fromarray(np.roll(CLASSES, number)) for number in range(3)]
    for name in ("a.gif", "a.png"):
        frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:])
        with pytest.raises(zoo.BadFile, match="holds 3 frames, but should be one image"):
            read(tmp_path / name)


# -- TIFF and arrays -----------------------------------------------------------


@pytest.mark.parametrize("compression", [None, "tiff_lzw", "tiff_adobe_deflate", "packbits"])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.int32, np.float32, np.bool_])
def test_values_of_a_tiff_are_exact(tmp_path, kind, compression):
    stored = (CLASSES > 2) if kind is np.bool_ else CLASSES.astype(kind)
    Image.fromarray(stored).save(tmp_path / "a.tif", compression=compression)
    assert np.array_equal(read(tmp_path / "a.tif"), stored)


def test_a_tiff_with_a_palette_is_read_and_one_with_an_orientation_refused(tmp_path):
    with_palette(CLASSES, [(0, 0, 0), (128, 0, 0), (0, 128, 0), (1, 2, 3), (4, 5, 6)]).save(tmp_path / "a.tif")
    assert np.array_equal(read(tmp_path / "a.tif"), CLASSES)
    exif = Image.Exif()
    exif[0x0112] = 6
    for compression in (None, "tiff_lzw"):
        Image.fromarray(CLASSES).save(tmp_path / "a.tif", exif=exif, compression=compression)
        with pytest.raises(zoo.BadFile, match=r"a\.tif is a TIFF with the orientation 6"):
            read(tmp_path / "a.tif")


def test_a_tiff_that_is_lossy_or_has_pages_is_refused(tmp_path):
    Image.fromarray(CLASSES).save(tmp_path / "a.tif", compression="jpeg")
    with pytest.raises(zoo.BadFile, match="is a JPEG, which"):
        read(tmp_path / "a.tif")
    page = Image.fromarray(CLASSES)
    page.save(tmp_path / "a.tif", save_all=True, append_images=[page])
    with pytest.raises(zoo.BadFile, match="holds 2 pages"):
        read(tmp_path / "a.tif")


@pytest.mark.parametrize("shape", [(6, 8), (1, 6, 8), (6, 8, 1)])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.int64, np.float64, np.bool_])
def test_arrays_of_whole_numbers(tmp_path, shape, kind):
    np.save(tmp_path / "a.npy", (CLASSES % 2).astype(kind).reshape(shape))
    assert np.array_equal(read(tmp_path / "a.npy"), CLASSES % 2)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (CLASSES / 2, "holds values that are no integers"),
        (np.full((2, 2), np.nan), "holds values that are no integers"),
        (CLASSES.astype(int) - 1, "holds values from -1 to 3"),
        (CLASSES.astype(int) * 65536, "holds values from 0 to 262144"),
        (np.zeros((2, 2, 3), np.uint8), r"holds an array of shape \(2, 2, 3\), but a mask should be \(H, W\)"),
        (np.zeros((0, 4), np.uint8), "holds an array of shape"),
        (np.zeros((2, 2), complex), "holds complex128, but should hold integers"),
    ],
)
def test_arrays_that_are_no_masks_are_refused(tmp_path, array, message):
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(zoo.BadFile, match=message):
        read(tmp_path / "a.npy")


# -- colors ----------------------------------------------------------------------

COLORS = [(0, 0, 0), (128, 0, 0), (0, 128, 0), (128, 128, 0), (1, 2, 3)]
CODES = np.array([0, 0x800000, 0x008000, 0x808000, 0x010203])


def read_colors(path):
    return zoo.read_mask(path, colors=True).numpy()


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.tif"])
def test_colors_are_read_where_they_are_asked_for(tmp_path, name):
    Image.fromarray(np.array(COLORS, np.uint8)[CLASSES]).save(tmp_path / name)
    assert np.array_equal(read_colors(tmp_path / name), CODES[CLASSES])


def test_the_colors_of_a_palette_are_read_whatever_its_order(tmp_path):
    with_palette(CLASSES, COLORS).save(tmp_path / "a.png")
    with_palette(4 - CLASSES, COLORS[::-1]).save(tmp_path / "b.png")
    for name in ("a.png", "b.png"):
        assert np.array_equal(read_colors(tmp_path / name), CODES[CLASSES])


def test_grays_stay_as_they_are_in_a_grayscale_image_and_are_colors_in_others(tmp_path):
    gray = Image.fromarray(CLASSES * 50)
    gray.save(tmp_path / "a.png")
    assert np.array_equal(read_colors(tmp_path / "a.png"), CLASSES * 50)
    for mode in ("RGB", "LA", "RGBA"):
        gray.convert(mode).save(tmp_path / "a.png")
        assert np.array_equal(read_colors(tmp_path / "a.png"), CLASSES.astype(int) * 50 * 0x010101)


def test_transparent_pixels_and_colors_of_16_bits_are_refused(tmp_path):
    clear = Image.fromarray(CLASSES).convert("RGBA")
    clear.putpixel((0, 0), (0, 0, 0, 254))
    clear.save(tmp_path / "a.png")
    with pytest.raises(zoo.BadFile, match="has transparent pixels, which have no class"):
        read_colors(tmp_path / "a.png")
