"""All images and masks of a dataset are read once, and what they are is known before the first step."""

from __future__ import annotations

import os
import time

import numpy as np
import pytest
from PIL import Image

import zoo_core as zoo
from zoo_core.errors import BadFile

PIXELS = np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)


def palette_mask(path, indices, colors):
    image = Image.fromarray(np.array(indices, np.uint8))
    image.putpalette([value for color in colors for value in color])
    image.save(path)
    return path


def test_facts_of_images_and_clips(tmp_path):
    gray, darker = Image.fromarray(PIXELS[..., 0]), Image.fromarray(255 - PIXELS[..., 0])
    deep = PIXELS[..., 0].astype(np.uint16) * 9
    exif = Image.Exif()
    exif[0x0112] = 6
    clear = Image.fromarray(PIXELS).convert("RGBA")
    opaque = clear.copy()
    clear.putpixel((0, 0), (1, 2, 3, 4))
    images = {
        "gray.png": (gray, {}, (1, 6, 8, 1, None, False)),
        "color.bmp": (Image.fromarray(PIXELS), {}, (1, 6, 8, 3, None, False)),
        "upright.jpg": (Image.fromarray(PIXELS), {"exif": exif}, (1, 8, 6, 3, None, False, 6)),
        "deep.png": (Image.fromarray(deep), {}, (1, 6, 8, 1, int(deep.max()), False)),
        "clear.png": (clear, {}, (1, 6, 8, 3, None, True)),
        "opaque.png": (opaque, {}, (1, 6, 8, 3, None, False)),
        "clip.gif": (gray, {"save_all": True, "append_images": [darker]}, (2, 6, 8, 1, None, False)),
        "cmyk.jpg": (Image.fromarray(PIXELS).convert("CMYK"), {}, (1, 6, 8, 4, None, False)),
    }  # fmt: skip
    for name, (image, options, _) in images.items():
        image.save(tmp_path / name, **options)
    np.save(tmp_path / "clip.npy", PIXELS[None].repeat(3, axis=0))
    expected = [zoo.ImageFacts(*facts) for _, _, facts in images.values()]
    paths = [tmp_path / name for name in images]
    time.sleep(2.1)
    for _ in range(2):
        assert zoo.check_images([*paths, tmp_path / "clip.npy"]) == [*expected, zoo.ImageFacts(3, 6, 8, 3, None, False)]


@pytest.mark.parametrize("damage", ["truncated", "flipped", "empty", "text", "fifo", "absent", "nan", "gif"])
def test_one_bad_file_of_many_is_named(tmp_path, damage):
    paths = [tmp_path / f"{number}.png" for number in range(40)]
    for path in paths:
        Image.fromarray(PIXELS).save(path)
    bad = paths[31]
    content = bytearray(bad.read_bytes())
    bad.unlink()
    if damage == "fifo":
        os.mkfifo(bad)
    elif damage == "nan":
        bad = paths[31] = tmp_path / "bad.npy"
        np.save(bad, np.full((3, 6, 8), np.nan))
    elif damage == "gif":
        bad = paths[31] = tmp_path / "bad.gif"
        frames = [Image.fromarray(np.roll(PIXELS[..., 0], number)) for number in range(4)]
        frames[0].save(bad, save_all=True, append_images=frames[1:])
        bad.write_bytes(bad.read_bytes()[:-30])
    elif damage != "absent":
        content[content.index(b"IDAT") + 40] ^= 1
        bad.write_bytes({"truncated": content[:-30], "flipped": content, "empty": b"", "text": b"text"}[damage])
    with pytest.raises(BadFile) as error:
        zoo.check_images(paths)
    assert str(bad) in error.value.message


def test_facts_of_masks(tmp_path):
    Image.fromarray(np.array([[0, 3], [3, 255]], np.uint8)).save(tmp_path / "gray.png")
    Image.fromarray(np.array([[0, 1], [0, 0]], bool)).save(tmp_path / "bits.png")
    palette_mask(tmp_path / "colors.png", [[0, 2, 2]], [(0, 0, 0), (9, 9, 9), (255, 0, 0)])
    found = zoo.check_masks([tmp_path / "gray.png", tmp_path / "colors.png"])
    assert found == [
        zoo.MaskFacts(2, 2, (0, 3, 255), "gray", {}),
        zoo.MaskFacts(1, 3, (0, 2), "palette", {0: (0, 0, 0), 2: (255, 0, 0)}),
    ]
    assert zoo.check_masks([tmp_path / "bits.png"]) == [zoo.MaskFacts(2, 2, (0, 1), "1-bit", {})]
    with pytest.raises(BadFile, match=r"bits\.png has one bit per pixel, so that white is 1, but .*gray\.png contains"):
        zoo.check_masks([tmp_path / "gray.png", tmp_path / "bits.png"])


def test_pixels_of_masks_are_counted_by_value(tmp_path):
    Image.fromarray(np.array([[0, 3], [3, 255]], np.uint8)).save(tmp_path / "gray.png")
    Image.fromarray(np.array([[[1, 2, 3]] * 3 + [[0, 0, 9]]], np.uint8)).save(tmp_path / "color.png")
    gray, color = zoo.check_masks([tmp_path / "gray.png", tmp_path / "color.png"], colors=True)
    assert (gray.values, gray.counts) == ((0, 3, 255), (1, 2, 1))
    assert (color.kind, color.values, color.counts) == ("color", (9, 0x010203), (1, 3))
    assert color.colors == {9: (0, 0, 9), 0x010203: (1, 2, 3)}
    with pytest.raises(BadFile, match=r"color\.png is an image of mode RGB"):
        zoo.check_masks([tmp_path / "gray.png", tmp_path / "color.png"])


def test_of_a_photo_the_most_frequent_colors_are_kept(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (50, 60, 3), dtype=np.uint8)
    pixels[:10] = (1, 2, 3)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    (photo,) = zoo.check_masks([tmp_path / "a.png"], colors=True)
    assert len(photo.values) == 1024
    assert photo.counts[photo.values.index(0x010203)] >= 600


def test_palettes_that_differ_are_refused(tmp_path):
    black, red, green = (0, 0, 0), (255, 0, 0), (0, 255, 0)
    one = palette_mask(tmp_path / "a.png", [[0, 1, 2]], [black, red, green])
    same = palette_mask(tmp_path / "b.png", [[0, 1, 1]], [black, red])
    swapped = palette_mask(tmp_path / "c.png", [[0, 1, 2]], [black, green, red])
    fewer = palette_mask(tmp_path / "d.png", [[0, 1, 1]], [black, green])
    zoo.check_masks([one, same])
    for other in (swapped, fewer):
        with pytest.raises(BadFile) as error:
            zoo.check_masks([same, one, other])
        assert error.value.message == (
            f"the palettes of {same} and {other} differ: index 1 is #ff0000 in the first, and #00ff00 in the second."
        )
        assert len(zoo.check_masks([same, one, other], colors=True)) == 3
    white = palette_mask(tmp_path / "e.png", [[0, 0]], [(255, 255, 255)])
    with pytest.raises(BadFile, match=r"e\.png has grays only, and that of .*a\.png has colors"):
        zoo.check_masks([one, white])


def test_a_color_with_two_indices_is_refused(tmp_path):
    for name, index in (("a", 1), ("b", 2)):
        mask = Image.new("P", (4, 4), index)
        mask.putpalette([0, 0, 0] + [255, 0, 0] * 2)
        mask.save(tmp_path / f"{name}.png")
    with pytest.raises(zoo.BadFile, match=r"the color #ff0000 has index 1 in .*a\.png, and index 2 in .*b\.png"):
        zoo.check_masks([tmp_path / "a.png", tmp_path / "b.png"])
