"""Reading images and clips: every supported mode and format, and the errors for anything else."""

import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import zoo_core as zoo
from zoo_core.data import animations
from zoo_core.errors import BadFile

GRAY = (np.arange(48).reshape(6, 8) * 5).astype(np.uint8)  # six rows of eight pixels
COLOR = np.stack([GRAY, 255 - GRAY, GRAY // 2], axis=2)
HINT = "Give a PNG, JPEG, TIFF, WebP, BMP, GIF, PPM or .npy file."


def save_image(path, array, mode=None, **options):
    image = Image.fromarray(array)
    (image if mode is None else image.convert(mode)).save(path, **options)
    return path


def save_array(path, values):
    np.save(path, values, allow_pickle=True)
    return path


def to_uint8(tensor):
    """(C, H, W) in [0, 1] as uint8 (H, W, C)."""
    return (tensor * 255).round().byte().permute(1, 2, 0).numpy()


def save_png_16(path, channels, color_type):
    """A PNG of 16 bits per channel, which Pillow does not write in colors."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    values = np.random.default_rng(0).integers(0, 65536, (6, 8 * channels)).astype(">u2")
    rows = b"".join(b"\0" + row.tobytes() for row in values)
    header = struct.pack(">IIBBBBB", 8, 6, 16, color_type, 0, 0, 0)
    parts = [chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))
    return path


def noise(count, side=6, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, side, side), dtype=np.uint8)


def save_gif(path, frames):
    first, *others = map(Image.fromarray, frames)
    first.save(path, save_all=True, append_images=others, duration=100)
    return path


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P", "LA"])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_gray_image_of_any_mode_has_its_values_in_every_channel(tmp_path, mode, channels):
    read = zoo.read_image(save_image(tmp_path / "a.png", GRAY, mode), channels)
    assert (read.dtype, tuple(read.shape)) == (torch.float32, (channels, 6, 8))
    for channel in range(channels):
        assert np.array_equal(to_uint8(read)[..., channel], GRAY)


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_colors_are_kept_or_converted_to_gray(tmp_path, mode):
    path = save_image(tmp_path / "a.png", COLOR, mode)
    assert np.array_equal(to_uint8(zoo.read_image(path, 3)), COLOR)
    gray = np.asarray(Image.fromarray(COLOR).convert("L"))
    assert np.array_equal(to_uint8(zoo.read_image(path, 1))[..., 0], gray)


def test_palette_colors_are_looked_up(tmp_path):
    image = Image.fromarray(np.array([[0, 1], [2, 1]], dtype=np.uint8), mode="P")
    image.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90])
    image.save(tmp_path / "a.png")
    assert to_uint8(zoo.read_image(tmp_path / "a.png", 3)).tolist() == [
        [[10, 20, 30], [40, 50, 60]],
        [[70, 80, 90], [40, 50, 60]],
    ]


def test_transparency_is_blended_with_black(tmp_path):
    alpha = np.array([[0, 128, 255]], dtype=np.uint8)
    white = np.full((1, 3, 3), 255, dtype=np.uint8)
    path = save_image(tmp_path / "rgba.png", np.concatenate([white, alpha[..., None]], axis=2))
    assert to_uint8(zoo.read_image(path, 3)).tolist() == [[[0] * 3, [128] * 3, [255] * 3]]
    path = save_image(tmp_path / "la.png", np.stack([white[..., 0], alpha], axis=2))
    assert to_uint8(zoo.read_image(path, 1)).tolist() == [[[0], [128], [255]]]

    image = Image.fromarray(np.array([[0, 1]], dtype=np.uint8), mode="P")
    image.putpalette([250, 250, 250, 40, 50, 60])
    image.save(tmp_path / "p.png", transparency=0)
    assert to_uint8(zoo.read_image(tmp_path / "p.png", 3)).tolist() == [[[0, 0, 0], [40, 50, 60]]]


def test_a_bilevel_image_is_0_and_1(tmp_path):
    path = save_image(tmp_path / "a.png", np.array([[0, 255, 0]], dtype=np.uint8), "1")
    assert zoo.read_image(path, 1).tolist() == [[[0.0, 1.0, 0.0]]]


@pytest.mark.parametrize("brightest", [65535, 16384, 0])
def test_sixteen_bit_values_are_divided_by_65535(tmp_path, brightest):
    path = save_image(tmp_path / "a.png", np.array([[0, brightest]], dtype=np.uint16))
    with Image.open(path) as image:
        assert image.mode == "I;16"
    expected = torch.tensor([[0, brightest / 65535]]).expand(3, 1, 2)
    torch.testing.assert_close(zoo.read_image(path, 3), expected)
    torch.testing.assert_close(zoo.read_frames(tmp_path, 3)[0], expected)


@pytest.mark.parametrize(
    ("brightest", "white"),
    [(16383, 16383), (9000, 16383), (4095, 4095), (3808, 4095), (1000, 1023), (200, 255), (1, 255)],
)
def test_sixteen_bit_files_of_fewer_bits_need_the_value_of_white(tmp_path, brightest, white):
    path = save_image(tmp_path / "a.png", np.array([[0, brightest]], dtype=np.uint16))
    for read in (lambda: zoo.read_image(path, 3), lambda: zoo.read_frames(tmp_path, 3)):
        with pytest.raises(BadFile, match=f"is a 16-bit image whose values end at {brightest}:") as refused:
            read()
        assert f"max_value={white}" in refused.value.hint
    expected = torch.tensor([[[0, brightest / white]]])
    torch.testing.assert_close(zoo.read_image(path, 1, max_value=white), expected)
    torch.testing.assert_close(zoo.read_frames(tmp_path, 1, max_value=white)[0], expected)
    torch.testing.assert_close(zoo.read_image(path, 1, max_value=65535), torch.tensor([[[0, brightest / 65535]]]))
    if brightest > 1:
        with pytest.raises(BadFile, match=f"holds values up to {brightest}, but max_value is {brightest - 1}"):
            zoo.read_image(path, 1, max_value=brightest - 1)


def test_a_dark_frame_among_bright_ones_is_read(tmp_path):
    for number, brightest in enumerate((100, 60000)):
        save_image(tmp_path / f"{number}.png", np.array([[0, brightest]], dtype=np.uint16))
    assert zoo.read_frames(tmp_path, 1)[0].max() == pytest.approx(100 / 65535)


def test_sixteen_bits_in_gray_with_transparency_are_refused(tmp_path):
    path = save_png_16(tmp_path / "a.png", 2, 4)
    for read in (lambda: zoo.read_image(path, 3), lambda: zoo.read_frames(path, 3), lambda: zoo.check_images([path])):
        with pytest.raises(BadFile, match=r"a\.png is in gray with transparency, and has 16 bits"):
            read()


@pytest.mark.parametrize("color_type", [2, 6])
def test_sixteen_bits_in_color_keep_all_bits(tmp_path, color_type):
    count = {2: 3, 6: 4}[color_type]
    path = save_png_16(tmp_path / "a.png", count, color_type)
    values = np.random.default_rng(0).integers(0, 65536, (6, 8, count)) / 65535
    opaque = values[..., -1:] if count == 4 else 1.0
    expected = (values[..., :3] * opaque).transpose(2, 0, 1)
    read = zoo.read_image(path, 3).numpy()
    assert np.allclose(read, np.broadcast_to(expected, (3, 6, 8)), atol=1e-6)
    assert np.allclose(zoo.read_image(path, count).numpy(), values.transpose(2, 0, 1), atol=1e-6)
    facts = zoo.check_images([path])[0]
    assert (facts.dtype, facts.transparent, facts.bands) == ("uint16", count == 4, count)
    np.testing.assert_array_equal(zoo.read_frames(path, 3)[0].numpy(), read)


def test_a_jpeg_is_close_to_the_saved_image(tmp_path):
    smooth = np.broadcast_to(np.linspace(0, 255, 32).astype(np.uint8)[:, None, None], (32, 32, 3))
    read = to_uint8(zoo.read_image(save_image(tmp_path / "a.jpg", smooth, quality=95), 3))
    assert np.abs(read.astype(int) - smooth).max() < 10


def test_the_exif_orientation_is_applied_to_pixels_and_size(tmp_path):
    tall = np.zeros((16, 32, 3), dtype=np.uint8)
    tall[:, :16] = 255  # the left half is bright
    exif = Image.Exif()
    exif[0x0112] = 6  # rotate clockwise: the left side becomes the top
    path = save_image(tmp_path / "a.jpg", tall, exif=exif, quality=95)
    read = zoo.read_image(path, 1)
    assert tuple(read.shape) == (1, 32, 16)
    assert read[0, 4].min() > 0.9 > 0.1 > read[0, 28].max()
    assert zoo.clip_shape(path) == zoo.clip_shape(tmp_path) == (1, 32, 16)
    assert torch.equal(zoo.read_frames(path, 1)[0], read)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (GRAY, GRAY / 255),
        (GRAY.astype(np.float64) / 255, GRAY / 255),
        ((GRAY > 100), (GRAY > 100).astype(float)),
        (np.full((6, 8), 0.5, dtype=np.float16), np.full((6, 8), 0.5)),
    ],
    ids=["bytes", "float64", "bool", "float16"],
)
def test_an_array_may_hold_uint8_bool_or_floats_in_0_to_1(tmp_path, values, expected):
    for shaped in (values, values[..., None], np.repeat(values[..., None], 3, axis=2)):
        read = zoo.read_image(save_array(tmp_path / "a.npy", shaped), 3)
        assert read.dtype == torch.float32
        assert np.allclose(read.numpy(), np.broadcast_to(expected, (3, 6, 8)), atol=1e-6)
    assert zoo.read_image(tmp_path / "a.npy", 1).shape == (1, 6, 8)


def test_writing_into_an_image_read_from_an_array_leaves_the_file_unchanged(tmp_path):
    read = zoo.read_image(save_array(tmp_path / "a.npy", np.zeros((2, 2), dtype=np.float32)), 1)
    read += 1
    assert np.load(tmp_path / "a.npy").sum() == 0


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.zeros(5), "holds images of shape (5,), but should hold (H, W) or (H, W, C) with 1 or 3 channels."),
        (np.zeros((2, 3, 4, 1)), "holds images of shape (2, 3, 4, 1), but should hold (H, W) or (H, W, C)"),
        (np.zeros((4, 4, 2)), "holds images of shape (4, 4, 2), but should hold (H, W) or (H, W, C)"),
        (np.zeros((0, 4)), "holds images of shape (0, 4, 1), but should hold (H, W) or (H, W, C)"),
        (np.array([[-0.5, 1.0]]), "holds values from -0.5 to 1."),
        (np.array([[0.0, 255.0]]), "holds values from 0 to 255."),
        (np.array([[np.nan]]), "holds values from nan to nan."),
        (np.zeros((2, 2), dtype=np.int64), "holds int64, with values up to 0, and does not say which value is white."),
        (np.zeros((2, 2), dtype=complex), "holds complex128."),
    ],
    ids=lambda value: f"{value.dtype}{value.shape}" if isinstance(value, np.ndarray) else "",
)
def test_an_array_of_an_unsupported_shape_range_or_type_is_refused(tmp_path, values, message):
    path = save_array(tmp_path / "a.npy", values)
    with pytest.raises(BadFile) as refused:
        zoo.read_image(path, 3)
    assert refused.value.message.startswith(f"{path} {message}")


class CreatesFile:
    """Creates a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize("name", ["a.npy", "a.npz"])
def test_a_pickle_in_an_array_file_is_refused_and_never_executed(tmp_path, name):
    malicious = np.array([CreatesFile(tmp_path / "executed")], dtype=object)
    (np.save if name == "a.npy" else np.savez)(tmp_path / name, malicious)
    for read in (lambda: zoo.read_frames(tmp_path / name, 1), lambda: zoo.clip_shape(tmp_path / name)):
        with pytest.raises(BadFile, match="can't be read: it holds Python objects or is not an array") as refused:
            read()
        assert "allow_pickle" not in str(refused.value)
    assert not (tmp_path / "executed").exists()
    assert np.load(tmp_path / name, allow_pickle=True) is not None


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.png", b"not an image", "is not a supported image file."),
        ("a.png", b"", "is empty."),
        ("a.txt", b"hello", "is not a supported image file."),
        ("a.png", b"II*\0" + bytes(100), "can't be read: it is a TIFF without a page."),
        ("a.png", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n", "is a PostScript file."),
        ("a.jpg", b"RIFF\x1a\0\0\0WEBPVP8 ", "can't be read: could not create decoder object."),
        ("a.png", b"P9 2 2 255 " + bytes(12), "is not a supported image file."),
        ("a.npy", b"not an array", "can't be read: it holds Python objects or is not an array."),
        ("a.npy", b"", "can't be read: No data left in file."),
        ("a.npy", b"\x93NUMPY\x01\x00\x0c\x00{'descr': (((", "can't be read: its header is damaged."),
    ],
)
def test_a_file_that_is_not_an_image_is_refused(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    for read in (zoo.read_image, zoo.read_frames):
        with pytest.raises(BadFile) as refused:
            read(tmp_path / name, 1)
        if read is zoo.read_image or b"WEBP" not in content:  # animated WebP files are clips
            assert refused.value.message == f"{tmp_path / name} {message}"
        assert refused.value.hint in (
            HINT,
            animations._HINT,
            "Save it again, for example as a TIFF without compression, or as PNG.",
        )


@pytest.mark.parametrize("name", ["none.png", "none.npy", "none"])
def test_a_missing_file_is_reported(tmp_path, name):
    for read in (lambda path: zoo.read_image(path, 1), lambda path: zoo.read_frames(path, 1), zoo.clip_shape):
        with pytest.raises(BadFile) as refused:
            read(tmp_path / name)
        assert refused.value.message == f"{tmp_path / name} does not exist."


def test_a_folder_is_not_an_image(tmp_path):
    with pytest.raises(BadFile, match="is a folder, but should be a file"):
        zoo.read_image(tmp_path, 1)


def test_only_regular_files_are_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "device.png").symlink_to("/dev/zero")
    (tmp_path / "broken.png").symlink_to("nowhere.png")
    (tmp_path / "pipe.npy").symlink_to("pipe.png")
    kinds = {"pipe.png": "is a pipe", "device.png": "is a device", "broken.png": "is a link to nowhere.png, which does"}
    for name, kind in {**kinds, "pipe.npy": "is a pipe"}.items():
        for read in (zoo.clip_shape, lambda path: zoo.read_image(path, 1), lambda path: zoo.read_frames(path, 1)):
            with pytest.raises(BadFile, match=kind):
                read(tmp_path / name)
    image = save_image(tmp_path / "image.bin", GRAY.copy(), format="PNG")
    (tmp_path / "link.png").symlink_to(image)
    assert zoo.read_image(tmp_path / "link.png", 1).shape == (1, 6, 8)


@pytest.mark.parametrize("name", ["a.png", "a.jpg"])
def test_a_truncated_image_is_refused(tmp_path, name):
    path = save_image(tmp_path / name, noise(1, side=40)[0])
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(BadFile, match=r"can't be read: .*truncated"):
        zoo.read_image(path, 1)


@pytest.mark.parametrize("fraction", [0.1, 0.5, 0.9])
def test_a_truncated_gif_is_refused_even_if_its_first_frames_are_complete(tmp_path, fraction):
    path = save_gif(tmp_path / "a.gif", noise(5, side=40))
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * fraction)])
    with pytest.raises(BadFile, match=r"can't be read: .*truncated"):
        zoo.read_frames(path, 1)


def test_a_gif_truncated_at_any_byte_is_read_or_refused(tmp_path):
    path = save_gif(tmp_path / "a.gif", noise(4, side=12))
    data, refused = path.read_bytes(), 0
    for length in range(1, len(data)):
        path.write_bytes(data[:length])
        try:
            zoo.read_frames(path, 1)
        except BadFile:
            refused += 1
    assert refused > len(data) // 2


@pytest.mark.parametrize("dtype", [">f4", ">f8", "<f2", np.longdouble])
def test_an_array_of_any_byte_order_and_precision_is_read(tmp_path, dtype):
    np.save(tmp_path / "a.npy", np.array([[0, 0.25], [0.5, 1]], dtype=dtype))
    assert zoo.read_image(tmp_path / "a.npy", 1).tolist() == [[[0, 0.25], [0.5, 1]]]


def test_a_truncated_array_is_refused(tmp_path):
    path = save_array(tmp_path / "a.npy", noise(3))
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(BadFile, match="can't be read: mmap length is greater than file size"):
        zoo.read_frames(path, 1)


def clips(tmp_path, frames):
    """The same clip as a folder, a GIF and arrays."""
    folder = tmp_path / "folder"
    folder.mkdir()
    for number, frame in enumerate(frames):
        save_image(folder / f"{number:03d}.png", frame)
    (folder / "notes.txt").write_text("not a frame")
    save_image(folder / ".hidden.png", frames[0])
    (folder / "._000.tif").write_bytes(b"written by macOS")
    np.savez(tmp_path / "one.npz", frames=frames)
    return [
        folder,
        save_gif(tmp_path / "a.gif", frames),
        save_array(tmp_path / "a.npy", frames),
        save_array(tmp_path / "numbers.npy", frames[..., None].astype(np.float64) / 255),
        tmp_path / "one.npz",
    ]


@pytest.mark.parametrize("channels", [1, 3])
def test_a_clip_is_the_same_from_a_folder_a_gif_and_an_array(tmp_path, channels):
    frames = noise(7)
    for path in clips(tmp_path, frames):
        read = zoo.read_frames(path, channels)
        assert (read.dtype, tuple(read.shape)) == (torch.float32, (7, channels, 6, 6)), path
        assert np.allclose(read.numpy() * 255, np.broadcast_to(frames[:, None], read.shape), atol=1e-3), path
        assert zoo.clip_shape(path) == (7, 6, 6), path


def test_a_range_of_frames_equals_the_slice_of_the_clip(tmp_path):
    for path in clips(tmp_path, noise(7)):
        whole = zoo.read_frames(path, 1)
        assert torch.equal(zoo.read_frames(path, 1, 2, 5), whole[2:5]), path
        assert torch.equal(zoo.read_frames(path, 1, 4), whole[4:]), path
        with pytest.raises(BadFile, match="has fewer than 8 frames"):
            zoo.read_frames(path, 1, 7, 9)


def test_a_color_clip_keeps_its_colors(tmp_path):
    frames = np.random.default_rng(1).integers(0, 256, (3, 6, 8, 3), dtype=np.uint8)
    path = save_array(tmp_path / "a.npy", frames)
    assert np.array_equal(to_uint8(zoo.read_frames(path, 3)[1]), frames[1])
    assert zoo.read_frames(path, 1).shape == (3, 1, 6, 8)
    assert zoo.clip_shape(path) == (3, 6, 8)


def test_an_image_is_a_clip_of_one_frame(tmp_path):
    path = save_image(tmp_path / "a.png", GRAY)
    assert zoo.clip_shape(path) == (1, 6, 8)
    assert torch.equal(zoo.read_frames(path, 1)[0], zoo.read_image(path, 1))


@pytest.mark.parametrize("name", ["a.gif", "a.png"])
def test_an_animation_is_a_clip_and_no_image(tmp_path, name):
    path = save_gif(tmp_path / name, noise(3))
    assert zoo.read_frames(path, 1).shape == (3, 1, 6, 6)
    assert zoo.clip_shape(path) == (3, 6, 6)
    for read in (lambda: zoo.read_image(path, 1), lambda: zoo.read_frames(tmp_path, 1)):
        with pytest.raises(BadFile, match=r"holds 3 frames, but should be one image") as refused:
            read()
        assert refused.value.hint == "Give one of its frames, or give the file itself where a clip is expected."


def test_the_image_for_other_programs_is_no_frame_of_an_animated_png(tmp_path):
    first, *others = map(Image.fromarray, noise(4))
    first.save(tmp_path / "a.png", save_all=True, append_images=others, default_image=True)
    assert zoo.clip_shape(tmp_path / "a.png") == (3, 6, 6)
    assert np.array_equal(to_uint8(zoo.read_frames(tmp_path / "a.png", 1)[0])[..., 0], noise(4)[1])


def test_a_photo_with_a_second_image_inside_is_one_image(tmp_path):
    first, second = (Image.fromarray(np.full((16, 16, 3), value, np.uint8)) for value in (200, 20))
    first.save(tmp_path / "a.mpo", format="MPO", save_all=True, append_images=[second])
    path = (tmp_path / "a.mpo").rename(tmp_path / "a.jpg")
    assert zoo.clip_shape(path) == (1, 16, 16)
    assert zoo.read_image(path, 3).mean() > 0.7
    assert zoo.read_frames(path, 3).shape == (1, 3, 16, 16)


def test_cmyk_is_converted_if_the_file_says_how_it_is_stored(tmp_path):
    image = Image.new("CMYK", (8, 8), (0, 255, 255, 0))  # red
    image.save(tmp_path / "a.jpg", quality=95)
    content = (tmp_path / "a.jpg").read_bytes()
    start = content.index(b"\xff\xee")  # the segment of Adobe
    length = struct.unpack(">H", content[start + 2 : start + 4])[0]
    red = zoo.read_image(tmp_path / "a.jpg", 3)
    assert red[0].min() > 0.9 > 0.1 > red[1:].max()
    (tmp_path / "a.jpg").write_bytes(content[:start] + content[start + 2 + length :])
    with pytest.raises(BadFile, match="is a CMYK image that does not say whether its values are inverted"):
        zoo.read_image(tmp_path / "a.jpg", 3)


def test_an_orientation_after_the_pixels_is_applied(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    path = save_image(tmp_path / "a.png", COLOR, exif=exif)
    content = path.read_bytes()
    start = content.index(b"eXIf") - 4
    end = start + 12 + struct.unpack(">I", content[start : start + 4])[0]
    path.write_bytes(content[:start] + content[end:-12] + content[start:end] + content[-12:])
    assert zoo.clip_shape(path) == (1, 8, 6)
    assert zoo.read_image(path, 3).shape == (3, 8, 6)
    assert zoo.check_images([path])[0].height == 8


def test_values_that_exceed_1_by_rounding_are_clipped(tmp_path):
    path = save_array(tmp_path / "a.npy", np.array([[0, 1.0000002]]))
    assert zoo.read_image(path, 1).tolist() == [[[0, 1]]]


def test_an_image_of_too_many_pixels_is_refused(tmp_path, monkeypatch):
    path = save_image(tmp_path / "a.png", np.zeros((60, 60), np.uint8))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(BadFile, match="can't be read: Image size"):
        zoo.read_image(path, 1)


def test_a_frame_of_another_size_is_named(tmp_path):
    save_image(tmp_path / "1.png", GRAY)
    other = save_image(tmp_path / "2.png", GRAY[:4])
    with pytest.raises(BadFile) as refused:
        zoo.read_frames(tmp_path, 1)
    assert refused.value.message == f"{other} is 4 x 8, but the first frame is 6 x 8."
    assert refused.value.hint == "All frames of a clip should have the same size."


def test_a_folder_without_images_says_what_it_should_hold(tmp_path):
    (tmp_path / "notes.txt").write_text("not a frame")
    with pytest.raises(BadFile) as refused:
        zoo.read_frames(tmp_path, 1)
    assert refused.value.message == f"{tmp_path} holds no images."
    assert refused.value.hint.startswith("It should hold files that end in .png, .jpg, .jpeg, .gif, .bmp, .tif, ")
    assert zoo.clip_shape(tmp_path) == (0, 0, 0)


def test_an_array_without_frames_is_refused(tmp_path):
    path = save_array(tmp_path / "a.npy", np.zeros((0, 6, 6), dtype=np.uint8))
    with pytest.raises(BadFile, match="holds no images"):
        zoo.read_frames(path, 1)


@pytest.mark.parametrize("values", [np.zeros(3), np.zeros((4, 4)), np.zeros((2, 3, 4, 1, 1, 1))])
def test_an_array_that_is_not_a_clip_is_refused_with_its_shape(tmp_path, values):
    path = save_array(tmp_path / "a.npy", values)
    for read in (lambda: zoo.read_frames(path, 1), lambda: zoo.clip_shape(path)):
        with pytest.raises(BadFile) as refused:
            read()
        assert refused.value.message == (
            f"{path} holds an array of shape {values.shape}, but should hold (T, H, W), (T, H, W, C), (N, T, H, W) "
            "or (N, T, H, W, C)."
        )


def test_an_npz_file_of_several_arrays_is_refused_with_their_names(tmp_path):
    np.savez(tmp_path / "a.npz", one=noise(2), two=noise(2))
    with pytest.raises(BadFile, match=r"holds 2 arrays \(one, two\), but should hold one"):
        zoo.read_frames(tmp_path / "a.npz", 1)


def test_image_files_are_sorted_by_name_without_hidden_ones(tmp_path):
    for name in ("b.PNG", "a.jpeg", ".c.png", "._b.PNG", "d.txt", "c.bmp"):
        (tmp_path / name).touch()
    assert [path.name for path in zoo.image_files(tmp_path)] == ["a.jpeg", "b.PNG", "c.bmp"]


@pytest.mark.parametrize(
    "names",
    [
        ["frame1.png", "frame2.png", "frame10.png"],
        ["a.png", "a1.png", "a1b2.png", "a1b10.png", "a2.png"],
        ["0.png", "00.png", "000.png", "01.png", "1.png", "002.png"],
        ["x\u0662.png", "x\u0663.png", "x\u0661\u0660.png"],  # Arabic digits
        ["2024-1-9.png", "2024-1-10.png", "2024-11-1.png"],
        ["²1.png", "²2.png", "²10.png"],  # a superscript is no digit
        ["1a.png", "10a.png", "a.png"],
        ["t9.BMP", "t10.PNG", "t11.jpg"],
    ],
)
def test_names_are_in_natural_order(tmp_path, names):
    for name in reversed(names):
        (tmp_path / name).touch()
    assert [path.name for path in zoo.image_files(tmp_path)] == names
    assert sorted(set(names), key=zoo.natural_key) == names


def frames_in(folder, count=4):
    folder.mkdir()
    for number in range(count):
        Image.new("L", (6, 5), 20 * number).save(folder / f"frame{number}.png")
    return folder


def test_a_gif_that_ends_between_two_frames_is_truncated(tmp_path):
    frames = [Image.new("L", (6, 5), 20 * number) for number in range(8)]
    frames[0].save(tmp_path / "whole.gif", save_all=True, append_images=frames[1:])
    whole = (tmp_path / "whole.gif").read_bytes()
    assert len(zoo.read_frames(tmp_path / "whole.gif", 1)) == 8
    (tmp_path / "padded.gif").write_bytes(whole + bytes(3))
    assert len(zoo.read_frames(tmp_path / "padded.gif", 1)) == 8
    for end in range(20, len(whole) - 1):
        (tmp_path / "cut.gif").write_bytes(whole[:end])
        if whole[:end].endswith(b";"):
            continue
        with pytest.raises(BadFile):
            zoo.read_frames(tmp_path / "cut.gif", 1)


@pytest.mark.parametrize("name", ["frame2.jfif", "frame2.psd", "frame2", "other.jp2"])
def test_a_file_that_looks_like_a_frame_is_not_left_out_of_a_clip(tmp_path, name):
    folder = frames_in(tmp_path / "clip")
    (folder / "frame2.png").rename(folder / name)
    with pytest.raises(BadFile, match=f"{name}, which would be missing among the frames"):
        zoo.read_frames(folder, 1)


def test_files_beside_the_frames_that_are_none_are_left_out(tmp_path):
    folder = frames_in(tmp_path / "clip")
    for name in ("frame2.txt", "frame2.json", "notes.doc", ".frame9.jp2"):
        (folder / name).touch()
    assert len(zoo.read_frames(folder, 1)) == 4


def test_a_frame_that_is_there_twice_is_refused(tmp_path):
    folder = frames_in(tmp_path / "clip")
    Image.new("L", (6, 5)).save(folder / "frame2.jpg")
    with pytest.raises(BadFile, match=r"holds frame2\.(jpg|png) and frame2\.(jpg|png), one frame twice"):
        zoo.read_frames(folder, 1)


def test_an_array_of_one_color_image_is_no_clip(tmp_path):
    np.save(tmp_path / "image.npy", np.zeros((40, 32, 3), np.uint8))
    with pytest.raises(BadFile, match="one image with colors and no clip"):
        zoo.read_frames(tmp_path / "image.npy", 3)


@pytest.mark.parametrize("read", [lambda path: zoo.read_image(path, 1), lambda path: zoo.check_images([path])])
def test_an_array_of_bytes_that_are_0_and_1_is_no_image(tmp_path, read):
    path = tmp_path / "a.npy"
    np.save(path, np.eye(2, dtype=np.uint8)[..., None])  # (H, W, C), and (T, H, W) as well
    with pytest.raises(BadFile, match=r"a\.npy holds uint8 values of 0 and 1 only") as error:
        read(path)
    assert error.value.hint == "Save it as bool, or multiply its values by 255."


@pytest.mark.parametrize("values", [[[0, 0]], [[0, 2]], [[True, False]], [[0.0, 1.0]]])
def test_other_arrays_are_images(tmp_path, values):
    array = np.array(values)
    np.save(tmp_path / "a.npy", array.astype(np.uint8) if array.dtype == np.int64 else array)
    assert zoo.read_image(tmp_path / "a.npy", 1).shape == (1, 1, 2)


def test_a_clip_whose_first_frame_is_dark_is_a_clip(tmp_path):
    clip = np.zeros((3, 5, 5), dtype=np.uint8)
    clip[0, 0, 0], clip[2] = 1, 200
    np.save(tmp_path / "a.npy", clip)
    assert zoo.check_images([tmp_path / "a.npy"])[0].frames == 3
