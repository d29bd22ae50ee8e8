"""Pictures and clips from files: every mode a user's file may have, and what is wrong with the others."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import zoo_core as zoo
from zoo_core.errors import BadFile

GRAY = (np.arange(48).reshape(6, 8) * 5).astype(np.uint8)  # six rows of eight pixels
COLOR = np.stack([GRAY, 255 - GRAY, GRAY // 2], axis=2)
CURE = "Give a PNG, JPEG, GIF or .npy file."


def picture(path, array, mode=None, **options):
    made = Image.fromarray(array)
    (made if mode is None else made.convert(mode)).save(path, **options)
    return path


def array(path, values):
    np.save(path, values, allow_pickle=True)
    return path


def bytes_of(tensor):
    """(C, H, W) in [0, 1] as the (H, W, C) bytes it came from."""
    return (tensor * 255).round().byte().permute(1, 2, 0).numpy()


def noise(count, side=6, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, side, side), dtype=np.uint8)


def animation(path, frames):
    first, *others = map(Image.fromarray, frames)
    first.save(path, save_all=True, append_images=others, duration=100)
    return path


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P", "LA"])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_grey_picture_of_any_mode_has_its_values_in_every_channel(tmp_path, mode, channels):
    read = zoo.read_image(picture(tmp_path / "a.png", GRAY, mode), channels)
    assert (read.dtype, tuple(read.shape)) == (torch.float32, (channels, 6, 8))
    for channel in range(channels):
        assert np.array_equal(bytes_of(read)[..., channel], GRAY)


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_colours_are_kept_or_turned_to_grey(tmp_path, mode):
    path = picture(tmp_path / "a.png", COLOR, mode)
    assert np.array_equal(bytes_of(zoo.read_image(path, 3)), COLOR)
    gray = np.asarray(Image.fromarray(COLOR).convert("L"))
    assert np.array_equal(bytes_of(zoo.read_image(path, 1))[..., 0], gray)


def test_colours_of_a_palette_are_looked_up(tmp_path):
    made = Image.fromarray(np.array([[0, 1], [2, 1]], dtype=np.uint8), mode="P")
    made.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90])
    made.save(tmp_path / "a.png")
    assert bytes_of(zoo.read_image(tmp_path / "a.png", 3)).tolist() == [
        [[10, 20, 30], [40, 50, 60]],
        [[70, 80, 90], [40, 50, 60]],
    ]


def test_transparent_pixels_are_black_and_half_transparent_ones_half_as_bright(tmp_path):
    alpha = np.array([[0, 128, 255]], dtype=np.uint8)
    white = np.full((1, 3, 3), 255, dtype=np.uint8)
    path = picture(tmp_path / "rgba.png", np.concatenate([white, alpha[..., None]], axis=2))
    assert bytes_of(zoo.read_image(path, 3)).tolist() == [[[0] * 3, [128] * 3, [255] * 3]]
    path = picture(tmp_path / "la.png", np.stack([white[..., 0], alpha], axis=2))
    assert bytes_of(zoo.read_image(path, 1)).tolist() == [[[0], [128], [255]]]

    made = Image.fromarray(np.array([[0, 1]], dtype=np.uint8), mode="P")
    made.putpalette([250, 250, 250, 40, 50, 60])
    made.save(tmp_path / "p.png", transparency=0)
    assert bytes_of(zoo.read_image(tmp_path / "p.png", 3)).tolist() == [[[0, 0, 0], [40, 50, 60]]]


def test_black_and_white_is_0_and_1(tmp_path):
    path = picture(tmp_path / "a.png", np.array([[0, 255, 0]], dtype=np.uint8), "1")
    assert zoo.read_image(path, 1).tolist() == [[[0.0, 1.0, 0.0]]]


@pytest.mark.parametrize("brightest", [65535, 1000, 200, 1])
def test_sixteen_bits_are_shares_of_65535_however_dark_the_picture_is(tmp_path, brightest):
    path = picture(tmp_path / "a.png", np.array([[0, brightest]], dtype=np.uint16))
    with Image.open(path) as made:
        assert made.mode == "I;16"
    expected = torch.tensor([[0, brightest / 65535]]).expand(3, 1, 2)
    torch.testing.assert_close(zoo.read_image(path, 3), expected)


def test_a_jpeg_is_near_to_what_was_saved(tmp_path):
    smooth = np.broadcast_to(np.linspace(0, 255, 32).astype(np.uint8)[:, None, None], (32, 32, 3))
    read = bytes_of(zoo.read_image(picture(tmp_path / "a.jpg", smooth, quality=95), 3))
    assert np.abs(read.astype(int) - smooth).max() < 10


def test_what_the_camera_held_sideways_is_upright_and_so_is_its_size(tmp_path):
    tall = np.zeros((16, 32, 3), dtype=np.uint8)
    tall[:, :16] = 255  # the left half is bright
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise: what is left comes to the top
    path = picture(tmp_path / "a.jpg", tall, exif=exif, quality=95)
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
def test_an_array_may_hold_bytes_or_numbers_from_0_to_1(tmp_path, values, expected):
    for shaped in (values, values[..., None], np.repeat(values[..., None], 3, axis=2)):
        read = zoo.read_image(array(tmp_path / "a.npy", shaped), 3)
        assert read.dtype == torch.float32
        assert np.allclose(read.numpy(), np.broadcast_to(expected, (3, 6, 8)), atol=1e-6)
    assert zoo.read_image(tmp_path / "a.npy", 1).shape == (1, 6, 8)


def test_what_is_read_from_an_array_may_be_written_to(tmp_path):
    read = zoo.read_image(array(tmp_path / "a.npy", np.zeros((2, 2), dtype=np.float32)), 1)
    read += 1
    assert np.load(tmp_path / "a.npy").sum() == 0


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        (np.zeros(5), "holds pictures (5,), but should hold (H, W) or (H, W, C) with 1 or 3 channels."),
        (np.zeros((2, 3, 4, 1)), "holds pictures (2, 3, 4, 1), but should hold (H, W) or (H, W, C)"),
        (np.zeros((4, 4, 2)), "holds pictures (4, 4, 2), but should hold (H, W) or (H, W, C)"),
        (np.zeros((0, 4)), "holds pictures (0, 4, 1), but should hold (H, W) or (H, W, C)"),
        (np.array([[-0.5, 1.0]]), "holds numbers from -0.5 to 1."),
        (np.array([[0.0, 255.0]]), "holds numbers from 0 to 255."),
        (np.array([[np.nan]]), "holds numbers from nan to nan."),
        (np.zeros((2, 2), dtype=np.int64), "holds int64."),
        (np.zeros((2, 2), dtype=complex), "holds complex128."),
    ],
    ids=lambda value: f"{value.dtype}{value.shape}" if isinstance(value, np.ndarray) else "",
)
def test_an_array_of_another_kind_says_what_it_holds(tmp_path, values, problem):
    path = array(tmp_path / "a.npy", values)
    with pytest.raises(BadFile) as refused:
        zoo.read_image(path, 3)
    assert refused.value.message.startswith(f"{path} {problem}")


class Told:
    """Something that tells on whoever unpickles it."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize("name", ["a.npy", "a.npz"])
def test_a_pickle_in_an_array_is_refused_and_never_run(tmp_path, name):
    evil = np.array([Told(tmp_path / "ran")], dtype=object)
    (np.save if name == "a.npy" else np.savez)(tmp_path / name, evil)
    for ask in (lambda: zoo.read_frames(tmp_path / name, 1), lambda: zoo.clip_shape(tmp_path / name)):
        with pytest.raises(BadFile, match="can't be read: it holds Python objects, or is no array") as refused:
            ask()
        assert "allow_pickle" not in str(refused.value)
    assert not (tmp_path / "ran").exists()
    assert np.load(tmp_path / name, allow_pickle=True) is not None


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("a.png", b"not a picture", "is no picture that can be read."),
        ("a.png", b"", "is no picture that can be read."),
        ("a.txt", b"hello", "is no picture that can be read."),
        ("a.npy", b"not an array", "can't be read: it holds Python objects, or is no array."),
        ("a.npy", b"", "can't be read: No data left in file."),
        ("a.npy", b"\x93NUMPY\x01\x00\x0c\x00{'descr': (((", "can't be read: its header is damaged."),
    ],
)
def test_a_file_that_is_something_else_says_so(tmp_path, name, content, problem):
    (tmp_path / name).write_bytes(content)
    for ask in (zoo.read_image, zoo.read_frames):
        with pytest.raises(BadFile) as refused:
            ask(tmp_path / name, 1)
        assert refused.value.message == f"{tmp_path / name} {problem}"
        assert refused.value.hint == CURE


@pytest.mark.parametrize("name", ["none.png", "none.npy", "none"])
def test_a_file_that_is_missing_says_so(tmp_path, name):
    for ask in (lambda path: zoo.read_image(path, 1), lambda path: zoo.read_frames(path, 1), zoo.clip_shape):
        with pytest.raises(BadFile) as refused:
            ask(tmp_path / name)
        assert refused.value.message == f"{tmp_path / name} can't be read: No such file or directory."


def test_a_folder_is_no_picture(tmp_path):
    with pytest.raises(BadFile, match="can't be read: Is a directory"):
        zoo.read_image(tmp_path, 1)


@pytest.mark.parametrize("name", ["a.png", "a.jpg"])
def test_a_picture_that_is_cut_short_says_so(tmp_path, name):
    path = picture(tmp_path / name, noise(1, side=40)[0])
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(BadFile, match=r"can't be read: .*truncated"):
        zoo.read_image(path, 1)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_an_animation_that_is_cut_short_says_so_though_its_first_frames_are_whole(tmp_path, share):
    path = animation(tmp_path / "a.gif", noise(5, side=40))
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(BadFile, match=r"can't be read: .*truncated"):
        zoo.read_frames(path, 1)


def test_an_animation_cut_at_any_byte_is_read_or_said_to_be_cut(tmp_path):
    path = animation(tmp_path / "a.gif", noise(4, side=12))
    whole, said = path.read_bytes(), 0
    for length in range(1, len(whole)):
        path.write_bytes(whole[:length])
        try:
            zoo.read_frames(path, 1)
        except BadFile:
            said += 1
    assert said > len(whole) // 2


@pytest.mark.parametrize("dtype", [">f4", ">f8", "<f2", np.longdouble])
def test_an_array_of_another_machines_numbers_is_read(tmp_path, dtype):
    np.save(tmp_path / "a.npy", np.array([[0, 0.25], [0.5, 1]], dtype=dtype))
    assert zoo.read_image(tmp_path / "a.npy", 1).tolist() == [[[0, 0.25], [0.5, 1]]]


def test_an_array_that_is_cut_short_says_so(tmp_path):
    path = array(tmp_path / "a.npy", noise(3))
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(BadFile, match="can't be read: mmap length is greater than file size"):
        zoo.read_frames(path, 1)


def clips(tmp_path, frames):
    """The same clip as a folder, an animation and arrays."""
    folder = tmp_path / "folder"
    folder.mkdir()
    for number, frame in enumerate(frames):
        picture(folder / f"{number:03d}.png", frame)
    (folder / "notes.txt").write_text("not a frame")
    picture(folder / ".hidden.png", frames[0])
    np.savez(tmp_path / "one.npz", frames=frames)
    return [
        folder,
        animation(tmp_path / "a.gif", frames),
        array(tmp_path / "a.npy", frames),
        array(tmp_path / "numbers.npy", frames[..., None].astype(np.float64) / 255),
        tmp_path / "one.npz",
    ]


@pytest.mark.parametrize("channels", [1, 3])
def test_a_clip_is_the_same_from_a_folder_an_animation_and_an_array(tmp_path, channels):
    frames = noise(7)
    for path in clips(tmp_path, frames):
        read = zoo.read_frames(path, channels)
        assert (read.dtype, tuple(read.shape)) == (torch.float32, (7, channels, 6, 6)), path
        assert np.allclose(read.numpy() * 255, np.broadcast_to(frames[:, None], read.shape), atol=1e-3), path
        assert zoo.clip_shape(path) == (7, 6, 6), path


def test_some_frames_of_a_clip_are_those_of_the_whole(tmp_path):
    for path in clips(tmp_path, noise(7)):
        whole = zoo.read_frames(path, 1)
        assert torch.equal(zoo.read_frames(path, 1, 2, 5), whole[2:5]), path
        assert torch.equal(zoo.read_frames(path, 1, 4), whole[4:]), path
        with pytest.raises(BadFile, match=r"has no frame 7: it ends before it\."):
            zoo.read_frames(path, 1, 7, 9)


def test_a_coloured_clip_keeps_its_colours(tmp_path):
    frames = np.random.default_rng(1).integers(0, 256, (3, 6, 8, 3), dtype=np.uint8)
    path = array(tmp_path / "a.npy", frames)
    assert np.array_equal(bytes_of(zoo.read_frames(path, 3)[1]), frames[1])
    assert zoo.read_frames(path, 1).shape == (3, 1, 6, 8)
    assert zoo.clip_shape(path) == (3, 6, 8)


def test_one_picture_is_a_clip_of_one_frame(tmp_path):
    path = picture(tmp_path / "a.png", GRAY)
    assert zoo.clip_shape(path) == (1, 6, 8)
    assert torch.equal(zoo.read_frames(path, 1)[0], zoo.read_image(path, 1))


def test_of_an_animation_a_picture_is_the_first_frame(tmp_path):
    path = animation(tmp_path / "a.gif", noise(3))
    assert torch.equal(zoo.read_image(path, 1), zoo.read_frames(path, 1)[0])


def test_frames_of_different_sizes_are_named(tmp_path):
    picture(tmp_path / "1.png", GRAY)
    odd = picture(tmp_path / "2.png", GRAY[:4])
    with pytest.raises(BadFile) as refused:
        zoo.read_frames(tmp_path, 1)
    assert refused.value.message == f"{odd} is 4 x 8, but the first picture there is 6 x 8."
    assert refused.value.hint == "All frames of a clip should be of one size."


def test_a_folder_without_pictures_says_what_it_should_hold(tmp_path):
    (tmp_path / "notes.txt").write_text("not a frame")
    with pytest.raises(BadFile) as refused:
        zoo.read_frames(tmp_path, 1)
    assert refused.value.message == f"{tmp_path} holds no pictures."
    assert refused.value.hint == "It should hold files that end in .png, .jpg, .jpeg, .gif, .bmp."
    assert zoo.clip_shape(tmp_path) == (0, 0, 0)


def test_an_array_without_frames_says_so(tmp_path):
    path = array(tmp_path / "a.npy", np.zeros((0, 6, 6), dtype=np.uint8))
    with pytest.raises(BadFile, match="holds no pictures"):
        zoo.read_frames(path, 1)


@pytest.mark.parametrize("values", [np.zeros(3), np.zeros((4, 4)), np.zeros((2, 3, 4, 1, 1))])
def test_an_array_that_is_no_clip_says_its_shape(tmp_path, values):
    path = array(tmp_path / "a.npy", values)
    for ask in (lambda: zoo.read_frames(path, 1), lambda: zoo.clip_shape(path)):
        with pytest.raises(BadFile) as refused:
            ask()
        assert refused.value.message == f"{path} holds {values.shape}, but should hold (T, H, W) or (T, H, W, C)."


def test_an_archive_of_several_arrays_names_them(tmp_path):
    np.savez(tmp_path / "a.npz", one=noise(2), two=noise(2))
    with pytest.raises(BadFile, match=r"holds 2 arrays \(one, two\), but should hold one"):
        zoo.read_frames(tmp_path / "a.npz", 1)


def test_picture_files_come_in_name_order_without_hidden_ones(tmp_path):
    for name in ("b.PNG", "a.jpeg", ".c.png", "d.txt", "c.bmp"):
        (tmp_path / name).touch()
    assert [path.name for path in zoo.image_files(tmp_path)] == ["a.jpeg", "b.PNG", "c.bmp"]
