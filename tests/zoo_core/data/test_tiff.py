"""Pages of TIFF files: what their tags say, and how a path names one."""

import numpy as np
import pytest
import torch
from PIL import Image

import zoo_core as zoo
from zoo_core.data.tiff import page_of, tiff_pages
from zoo_core.errors import BadFile

GRAY = (np.arange(48).reshape(6, 8) * 5).astype(np.uint8)


@pytest.fixture
def stack(tmp_path):
    """Five pages, each darker than the one before."""
    pages = [Image.fromarray(GRAY // (number + 1)) for number in range(5)]
    pages[0].save(tmp_path / "stack.tif", save_all=True, append_images=pages[1:])
    return tmp_path / "stack.tif"


def test_a_path_names_a_page(stack):
    for number in range(5):
        read = zoo.read_image(f"{stack}#page={number}", 1)
        assert np.array_equal((read[0] * 255).round().numpy(), GRAY // (number + 1))
        assert np.array_equal(zoo.read_mask(f"{stack}#page={number}").numpy(), GRAY // (number + 1))
    facts = zoo.check_images([f"{stack}#page=4", stack], clips=False)
    assert [(one.frames, one.highest) for one in facts] == [(1, 47), (5, 235)]


def test_several_pages_are_no_image_and_a_clip(stack):
    with pytest.raises(BadFile, match="holds 5 pages, but should be one image") as error:
        zoo.read_image(stack, 1)
    assert "stack.tif#page=0" in error.value.hint
    assert zoo.clip_shape(stack) == (5, 6, 8)
    clip = zoo.read_frames(stack, 1, 1, 3)
    assert torch.equal(clip[1], zoo.read_image(f"{stack}#page=2", 1))


def test_a_page_that_is_not_there_is_named(stack):
    for read in (lambda path: zoo.read_image(path, 1), zoo.read_mask):
        with pytest.raises(BadFile, match="has 5 pages, numbered from 0, but no page 5"):
            read(f"{stack}#page=5")


def test_a_file_may_have_the_name_of_a_page(stack):
    other = stack.with_name("stack.tif#page=1")
    Image.fromarray(255 - GRAY).save(other, format="PNG")
    assert np.array_equal((zoo.read_image(other, 1)[0] * 255).round().numpy(), 255 - GRAY)


def test_a_smaller_copy_of_an_image_is_no_page(tmp_path):
    first, copy = Image.fromarray(GRAY), Image.fromarray(GRAY[::2, ::2])
    copy.encoderinfo = {"tiffinfo": {254: 1}}
    first.save(tmp_path / "a.tif", save_all=True, append_images=[copy])
    assert len(tiff_pages(tmp_path / "a.tif")) == 1
    assert zoo.read_image(tmp_path / "a.tif", 1).shape == (1, 6, 8)


def test_a_tiff_with_an_orientation_is_refused(tmp_path):
    Image.fromarray(GRAY).save(tmp_path / "a.tif", tiffinfo={274: 6})
    for read in (lambda path: zoo.read_image(path, 1), lambda path: zoo.check_images([path]), zoo.read_mask):
        with pytest.raises(BadFile, match="is a TIFF with the orientation 6"):
            read(tmp_path / "a.tif")


def test_the_tags_say_what_is_stored(tmp_path):
    Image.fromarray(GRAY.astype(np.uint16)).save(tmp_path / "a.tif")
    page = page_of(tmp_path / "a.tif")
    assert (page.width, page.height, page.bits, page.samples) == (8, 6, 16, 1)
    assert page.is_gray
    assert not page.is_8_bit


@pytest.mark.parametrize("shape", [(6, 8, 3), (6, 8, 5)])
def test_other_channels_and_bits_are_read_with_tifffile(tmp_path, shape):
    tifffile = pytest.importorskip("tifffile")
    values = np.random.default_rng(0).integers(0, 65536, shape, dtype=np.uint16)
    options = {"photometric": "rgb"} if shape[2] == 3 else {"photometric": "minisblack", "planarconfig": "contig"}
    tifffile.imwrite(tmp_path / "a.tif", values, **options)
    read = zoo.read_image(tmp_path / "a.tif", shape[2])
    assert np.array_equal((read.numpy() * 65535).round().transpose(1, 2, 0), values)
    if shape[2] == 5:
        with pytest.raises(BadFile, match="has 5 channels, which are neither gray nor RGB"):
            zoo.read_image(tmp_path / "a.tif", 3)


@pytest.mark.parametrize("bits", [8, 16])
def test_colors_that_are_multiplied_by_transparency_are_not_multiplied_again(tmp_path, bits):
    tifffile = pytest.importorskip("tifffile")
    white = 2**bits - 1
    pixels = np.zeros((6, 8, 4), f"uint{bits}")
    pixels[..., 0], pixels[..., 3] = white * 2 // 5, white * 4 // 5
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="rgb", extrasamples=["assocalpha"])
    tifffile.imwrite(tmp_path / "b.tif", pixels, photometric="rgb", extrasamples=["unassalpha"])
    assert zoo.read_image(tmp_path / "a.tif", 3)[:, 0, 0].tolist() == pytest.approx([0.4, 0, 0], abs=0.01)
    assert zoo.read_image(tmp_path / "b.tif", 3)[:, 0, 0].tolist() == pytest.approx([0.32, 0, 0], abs=0.01)
    assert zoo.read_image(tmp_path / "a.tif", 4)[:, 0, 0].tolist() == pytest.approx([0.5, 0, 0, 0.8], abs=0.01)
    assert zoo.read_image(tmp_path / "b.tif", 4)[:, 0, 0].tolist() == pytest.approx([0.4, 0, 0, 0.8], abs=0.01)


@pytest.mark.parametrize(
    ("photometric", "channels", "kind"),
    [
        ("cielab", 3, "Lab"),
        ("logluv", 3, "logarithms"),
        ("linear_raw", 3, "the raw values"),
        (32803, 1, "color filter"),
    ],
)
def test_colors_of_another_kind_are_not_read_as_rgb_or_gray(tmp_path, photometric, channels, kind):
    tifffile = pytest.importorskip("tifffile")
    pixels = np.full((6, 8, channels), 40000, np.uint16).squeeze()
    if photometric == 32803:  # with tags that tifffile asks for
        Image.fromarray(pixels).save(tmp_path / "a.tif", tiffinfo={262: photometric})
    else:
        tifffile.imwrite(tmp_path / "a.tif", pixels, photometric=photometric)
    for read in (lambda path: zoo.read_image(path, channels), lambda path: zoo.check_images([path])):
        with pytest.raises(BadFile, match=f"is a TIFF of 16 bits that stores .*{kind}"):
            read(tmp_path / "a.tif")


def test_a_bigtiff_in_big_endian_order_is_refused_with_the_reason(tmp_path):
    tifffile = pytest.importorskip("tifffile")
    tifffile.imwrite(tmp_path / "a.tif", np.full((6, 8), 9, np.uint8), bigtiff=True, byteorder=">")
    for read in (lambda path: zoo.read_image(path, 1), lambda path: zoo.check_images([path]), zoo.read_mask):
        with pytest.raises(BadFile, match="is a BigTIFF in big-endian byte order, which is not read"):
            read(tmp_path / "a.tif")


def test_a_missing_package_is_named(tmp_path, monkeypatch):
    tifffile = pytest.importorskip("tifffile")
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((6, 8, 3), np.uint16), photometric="rgb")
    monkeypatch.setitem(__import__("sys").modules, "tifffile", None)
    with pytest.raises(BadFile, match="needs the package tifffile") as error:
        zoo.read_image(tmp_path / "a.tif", 3)
    assert error.value.hint == "pip install 'zoo-core[tiff]'"


def next_page_fields(path):
    """Where in a TIFF of little-endian order the offset of the page after each page is stored."""
    content, fields = path.read_bytes(), []
    at = int.from_bytes(content[4:8], "little")
    while at:
        field = at + 2 + 12 * int.from_bytes(content[at : at + 2], "little")
        fields.append(field)
        at = int.from_bytes(content[field : field + 4], "little")
    return fields


@pytest.mark.parametrize(
    ("page", "target", "message"),
    [
        (4, "first", "one refers to an earlier one"),
        (2, "first", "one refers to an earlier one"),
        (0, "first", "one refers to an earlier one"),
        (4, "end", "its pages are incomplete"),
        (1, "cut", "its pages are incomplete"),
    ],
)
def test_pages_that_form_a_circle_or_are_cut_off_are_refused_as_images_clips_and_masks(stack, page, target, message):
    content, fields = bytearray(stack.read_bytes()), next_page_fields(stack)
    offset = {"first": int.from_bytes(content[4:8], "little"), "end": len(content) + 10, "cut": len(content) - 1}[
        target
    ]
    content[fields[page] : fields[page] + 4] = offset.to_bytes(4, "little")
    stack.write_bytes(content)
    for read in (
        tiff_pages,
        zoo.clip_shape,
        zoo.read_mask,
        lambda path: zoo.read_image(path, 1),
        lambda path: zoo.read_frames(path, 1),
        lambda path: zoo.read_image(f"{path}#page=0", 1),
        lambda path: zoo.check_images([path]),
        lambda path: zoo.check_clips([path]),
    ):
        with pytest.raises(BadFile, match=message):
            read(stack)


def test_more_pages_than_any_file_has_are_refused(stack, monkeypatch):
    monkeypatch.setattr("zoo_core.data.tiff._MAX_PAGES", 4)
    with pytest.raises(BadFile, match="more than 4 pages"):
        tiff_pages(stack)
