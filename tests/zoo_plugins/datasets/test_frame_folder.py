"""A folder of clips (images, GIF files and arrays of digits) and the windows cut from them."""

import os
import tracemalloc
import warnings
from contextlib import suppress

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch.utils.data import DataLoader

import zoo_core as zoo
from zoo_plugins.datasets import clip_layouts
from zoo_plugins.datasets.frame_folder import FrameFolder


@pytest.fixture(scope="module")
def digits():
    """A thousand digits (N, 28, 28) uint8: frame t of clip s is digit 50 s + t."""
    return (
        zoo.build("mnist", {"source": "subset"}, kind="dataset")
        .test()
        .tensors["image"][:, 0]
        .mul(255)
        .round()
        .byte()
        .numpy()
    )


def make(folder, **settings):
    return FrameFolder(
        FrameFolder.Config(**{"folder": str(folder), "frames_in": 2, "frames_out": 1, "color": "gray", **settings})
    )


def save_gif(frames, path):
    first, *others = [Image.fromarray(frame) for frame in frames]
    first.save(path, save_all=True, append_images=others, duration=100)


def save_images(frames, folder, suffix="png"):
    folder.mkdir()
    for number, frame in enumerate(frames):
        Image.fromarray(frame).save(folder / f"{number:03d}.{suffix}")


@pytest.fixture
def clips(digits):
    """Four clips (T, 28, 28)."""
    return [digits[50 * number : 50 * number + length] for number, length in enumerate((5, 6, 7, 8))]


@pytest.fixture
def folder(tmp_path, clips):
    """One clip of each kind."""
    folder = tmp_path / "clips"
    folder.mkdir()
    save_images(clips[0], folder / "images")
    save_gif(clips[1], folder / "animation.gif")
    np.save(folder / "array.npy", clips[2])
    np.savez(folder / "packed.npz", clips[3][..., None])
    return folder


@pytest.fixture
def ten(tmp_path, digits):
    """Ten clips of six frames; clip s is called s."""
    for number in range(10):
        np.save(tmp_path / f"{number}.npy", digits[50 * number : 50 * number + 6])
    return tmp_path


def splits(data):
    return data.train(), data.validation(), data.test()


def windows_of(examples):
    """All windows as bytes, past and future concatenated."""
    return [
        torch.cat([window["past"], window["future"]]).mul(255).round().byte().numpy().tobytes()
        for window in (examples[number] for number in range(len(examples)))
    ]


def collated(examples):
    return torch.stack([torch.cat([one["past"], one["future"]]) for one in examples])


# -- windows -----------------------------------------------------------------


@pytest.mark.parametrize("stride", [1, 2, 4])
def test_the_splits_contain_every_window_of_every_kind_of_clip_once(folder, clips, stride):
    expected = [clip[start : start + 3].tobytes() for clip in clips for start in range(0, len(clip) - 2, stride)]
    found = [window for split in splits(make(folder, stride=stride)) for window in windows_of(split)]
    assert sorted(found) == sorted(expected)


@pytest.mark.parametrize(("stride", "count"), [(1, 18), (2, 9), (3, 6), (5, 4), (17, 2), (18, 1), (1000, 1)])
def test_windows_start_a_stride_apart_and_are_inside_the_clip(tmp_path, digits, stride, count):
    for name in "abc":
        np.save(tmp_path / f"{name}.npy", digits[:20])
    examples = make(tmp_path, stride=stride).train()
    assert len(examples) == count
    for number in range(count):
        start = number * stride
        expected = torch.from_numpy(digits[start : start + 3]).unsqueeze(1) / 255
        window = examples[number]
        assert torch.equal(window["past"], expected[:2])
        assert torch.equal(window["future"], expected[2:])
    with pytest.raises(IndexError):
        examples[count]


def test_a_clip_of_the_length_of_a_window_has_one_window(tmp_path, digits):
    for name in "abc":
        np.save(tmp_path / f"{name}.npy", digits[:7])
    assert [len(split) for split in splits(make(tmp_path, frames_in=4, frames_out=3))] == [1, 1, 1]


def test_frames_are_in_the_natural_order_of_their_names(tmp_path, digits):
    for name in "abc":
        (tmp_path / name).mkdir()
        for index, stem in enumerate(("frame10", "frame009", "frame2")):
            Image.fromarray(digits[index]).save(tmp_path / name / f"{stem}.png")
    window = make(tmp_path).train()[0]
    torch.testing.assert_close(window["past"][:, 0], torch.from_numpy(digits[[2, 1]]) / 255)
    torch.testing.assert_close(window["future"][:, 0], torch.from_numpy(digits[[0]]) / 255)


def test_clips_are_in_the_natural_order_of_their_names(tmp_path, digits):
    for number in (1, 2, 10, 11):
        np.save(tmp_path / f"clip{number}.npy", digits[:3])
    found = clip_layouts.find(tmp_path)
    assert [clip.path.stem for clip in found.clips] == ["clip1", "clip2", "clip10", "clip11"]
    assert found.left_out == []


def test_hidden_files_are_ignored(folder):
    before = [len(split) for split in splits(make(folder))]
    (folder / ".DS_Store").write_bytes(b"\0")
    (folder / ".hidden").mkdir()
    (folder / "__MACOSX").mkdir()
    (folder / "images" / "._000.png").write_bytes(b"\0")
    (folder / "images" / ".000.png.swp").write_bytes(b"\0")
    assert [len(split) for split in splits(make(folder))] == before


def test_other_files_are_counted_by_their_endings(folder):
    (folder / "clip.FLV").write_bytes(b"a video")
    (folder / "README").write_text("notes on the clips")
    for name in ("notes.txt", "times.txt"):
        (folder / "images" / name).write_text("notes on the frames")
    with pytest.warns(
        UserWarning, match=r"left out: 1 file without an ending, 1 file ending in \.flv, 2 files ending in \.txt"
    ):
        make(folder).train()


def test_frames_of_a_format_that_is_not_read_are_an_error(folder, digits):
    Image.fromarray(digits[0]).save(folder / "images" / "009.jp2")
    with pytest.raises(zoo.BadFile, match=r"images holds 009\.jp2, which would be missing among the frames") as error:
        make(folder).train()
    assert error.value.hint == "Convert all frames to PNG, and move other files elsewhere."


def test_each_animation_in_a_sub_folder_is_a_clip(tmp_path, digits):
    for group in ("run", "walk"):
        (tmp_path / group).mkdir()
        for number in (1, 2):
            save_gif(digits[50 * number : 50 * number + 5], tmp_path / group / f"{number}.gif")
    assert sum(len(split) for split in splits(make(tmp_path))) == 4 * 3
    assert make(tmp_path).train()[0]["past"].shape == (2, 1, 28, 28)
    Image.fromarray(digits[0]).save(tmp_path / "run" / "still.png")
    with pytest.raises(zoo.BadFile, match=r"run holds both an image, still\.png, and a clip of its own, 1\.gif"):
        make(tmp_path).train()


def test_single_images_may_be_gif_files(tmp_path, digits):
    for name in "abc":
        save_images(digits[:4], tmp_path / name, "gif")
    torch.testing.assert_close(make(tmp_path).train()[0]["past"][:, 0], torch.from_numpy(digits[:2]) / 255)


def test_images_of_16_bits_that_hold_fewer_need_the_value_of_white(tmp_path, digits):
    for name in "abc":
        save_images(digits[:3].astype(np.uint16) * 15, tmp_path / name)
    with pytest.raises(zoo.BadFile, match="the values of all images of 16 bits end at 3825") as error:
        make(tmp_path).train()
    assert "dataset.max_value=4095" in error.value.hint
    scaled = make(tmp_path, max_value=3825).train()[0]["past"][:, 0]
    torch.testing.assert_close(scaled, torch.from_numpy(digits[:2]) / 255)
    with pytest.raises(zoo.BadFile, match=r"holds values up to 3825, but dataset.max_value is 1023"):
        make(tmp_path, max_value=1023).train()


# -- the split ---------------------------------------------------------------


def clips_of(examples):
    return {clip.path.stem for clip, _ in examples.starts}


def test_all_windows_of_a_clip_are_in_one_split(ten):
    data = make(ten, validation_fraction=0.2, test_fraction=0.3)
    train, validation, test = (set(windows_of(split)) for split in splits(data))
    assert [len(split) for split in (train, validation, test)] == [5 * 4, 2 * 4, 3 * 4]
    assert len(train | validation | test) == 40
    names = [clips_of(split) for split in splits(data)]
    assert [len(split) for split in names] == [5, 2, 3]
    assert set.union(*names) == set("0123456789")


def test_the_split_depends_on_the_split_seed_only(ten):
    one, same, other = (make(ten, split_seed=seed) for seed in (1, 1, 2))
    assert windows_of(one.train()) == windows_of(same.train())
    assert set(windows_of(one.train())) != set(windows_of(other.train()))
    again = make(ten, split_seed=1, stride=2)
    assert clips_of(again.test()) == clips_of(one.test())


@pytest.mark.parametrize(
    ("validation_fraction", "test_fraction"), [(0.01, 0.01), (0.5, 0.5), (0.9, 0.1), (0.9, 0.9), (0.1, 0.99)]
)
def test_every_split_has_a_clip_for_any_fractions(ten, validation_fraction, test_fraction):
    data = make(ten, validation_fraction=validation_fraction, test_fraction=test_fraction)
    names = [clips_of(split) for split in splits(data)]
    assert min(len(split) for split in names) >= 1
    assert sum(len(split) for split in names) == len(set.union(*names)) == 10


# -- color and size ---------------------------------------------------------


def colored(digits, count):
    """(T, 28, 28, 3), with a different digit in each channel."""
    return np.stack([digits[:count], digits[100 : 100 + count], digits[200 : 200 + count]], axis=-1)


def test_color_is_kept_or_converted_to_gray(tmp_path, digits):
    frames = colored(digits, 3)
    for name in "abc":
        save_images(frames, tmp_path / name)
    rgb = make(tmp_path, color="rgb").train()[0]
    expected = torch.from_numpy(frames).permute(0, 3, 1, 2) / 255
    torch.testing.assert_close(rgb["past"], expected[:2])
    gray = make(tmp_path, color="gray").train()[0]
    luma = torch.tensor([0.299, 0.587, 0.114]).view(3, 1, 1)  # ITU-R BT.601
    torch.testing.assert_close(gray["past"], (expected[:2] * luma).sum(dim=1, keepdim=True), rtol=0, atol=1 / 128)


def test_gray_clips_fill_all_three_channels(folder):
    window = make(folder, color="rgb").train()[0]
    assert window["past"].shape == (2, 3, 28, 28)
    assert torch.equal(window["past"][:, 0], window["past"][:, 2])
    assert window["past"].max() > 0.5


@pytest.mark.parametrize(("height", "width"), [(14, 20), (56, 40), (0, 14), (14, 0)])
def test_frames_are_resized_to_the_given_size(folder, height, width):
    original, resized = make(folder).train()[0], make(folder, height=height, width=width).train()[0]
    size = (height or 28, width or 28)
    assert resized["past"].shape == (2, 1, *size)
    expected = F.interpolate(original["past"], size, mode="bilinear", antialias=True)
    torch.testing.assert_close(resized["past"], expected.clamp(0, 1))
    assert 0 <= resized["past"].min() <= resized["past"].max() <= 1
    assert float(resized["past"].mean()) == pytest.approx(float(original["past"].mean()), rel=0.1)


def test_clips_of_different_sizes_are_an_error_unless_they_are_resized(folder, digits):
    np.save(folder / "wide.npy", np.concatenate([digits[:5], digits[5:10]], axis=2))
    with pytest.raises(zoo.ZooError, match=r"is 28 x (56|28), but .* is 28 x (28|56)") as error:
        make(folder, height=20).train()
    assert "dataset.height=128 dataset.width=128" in error.value.hint
    data = make(folder, height=20, width=24)
    assert {split[number]["past"].shape for split in splits(data) for number in range(len(split))} == {(2, 1, 20, 24)}


# -- reading -----------------------------------------------------------------


def test_frames_are_read_on_access(folder, clips, digits):
    data = make(folder)
    examples = {clip.path.name: (split, number) for split in splits(data) for number, (clip, start) in
                enumerate(split.starts) if start == 0}  # fmt: skip
    other = digits[500:508]
    Image.fromarray(other[0]).save(folder / "images" / "000.png")
    save_gif(other[:6], folder / "animation.gif")
    np.save(folder / "array.npy", other[:7])
    np.savez(folder / "packed.npz", other)
    assert len(examples) == 4
    for split, number in examples.values():
        torch.testing.assert_close(split[number]["past"][0, 0], torch.from_numpy(other[0]) / 255)


_FRAMES = 20_000


@pytest.fixture
def sparse_clips(tmp_path, digits):
    """A folder of three sparse files of 1.3 GB each; the file system stores only the frames that were written."""
    count, frame = _FRAMES, 256 * 256
    header = {"descr": "|u1", "fortran_order": False, "shape": (count, 256, 256)}
    path = tmp_path / "a.npy"
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        start = file.tell()
        try:
            os.truncate(path, start + count * frame)
        except OSError:
            pytest.skip("needs a file system with sparse files")
        file.seek(start + (count - 5) * frame)
        file.write(np.pad(digits[0], (0, 228)).tobytes())
    for name in "bc":
        os.link(path, tmp_path / f"{name}.npy")
    yield tmp_path
    for name in "abc":
        (tmp_path / f"{name}.npy").unlink()


def test_a_clip_may_be_larger_than_memory(sparse_clips, digits):
    tracemalloc.start()
    examples = make(sparse_clips, stride=5).train()
    last = examples[len(examples) - 1]["past"]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(examples) == _FRAMES / 5
    assert torch.equal(last[0, 0, :28, :28], torch.from_numpy(digits[0]) / 255)
    assert peak < 100e6  # bytes, of 1.3e9


def test_workers_give_the_same_windows(folder):
    examples = make(folder, validation_fraction=0.01, test_fraction=0.01).train()
    order = [[0, 1], [4, 2], [3, 5, 6]]
    expected = [collated([examples[number] for number in numbers]) for numbers in order]
    for workers in (0, 2):
        loader = DataLoader(examples, batch_sampler=order, num_workers=workers, collate_fn=collated)
        for batch, one in zip(loader, expected, strict=True):
            assert torch.equal(batch, one)


def test_the_fingerprint_depends_on_settings_and_files_but_not_on_the_folder(folder, tmp_path):
    one = make(folder).fingerprint()
    moved = folder.rename(tmp_path / "moved")
    assert make(moved).fingerprint() == one
    assert make(moved, stride=2).fingerprint() != one
    for name in ("images/000.png", "animation.gif", "array.npy", "packed.npz"):
        content = (moved / name).read_bytes()
        changed = bytearray(content)
        changed[-20] ^= 1
        (moved / name).write_bytes(changed)
        with suppress(zoo.BadFile):  # the change may damage the file
            assert make(moved).fingerprint() != one
        (moved / name).write_bytes(content)
    assert make(moved).fingerprint() == one


def test_its_recipe_trains_on_a_folder_of_clips(tmp_path, digits):
    (tmp_path / "clips").mkdir()
    for number in range(3):
        save_gif(digits[50 * number : 50 * number + 41], tmp_path / "clips" / f"{number}.gif")
    run = zoo.run(
        "unet-frames", f"dataset.folder={tmp_path / 'clips'}", "dataset.height=32", "dataset.width=48",
        "model.base_channels=2", "model.depth=2", "run.steps=3", "run.workers=2", "run.device=cpu",
        "run.precision=float32", "run.preview_every=3", folder=tmp_path / "run",
    )  # fmt: skip
    assert run.test_metrics.keys() >= {"mse", "mse/20", "ssim"}
    with Image.open(tmp_path / "run" / "previews" / "step-000003.gif") as preview:
        assert preview.n_frames == 20
        assert preview.size == (3 * 50 + 2, 32 + 4)


# -- errors ----------------------------------------------------------------


def test_a_missing_folder_is_an_error(tmp_path):
    for path in (tmp_path / "absent", tmp_path / "file"):
        (tmp_path / "file").write_text("not a folder")
        with pytest.raises(zoo.ZooError, match=r"dataset\.folder is .*, which can't be read: ") as error:
            make(path).train()
        assert str(path) in error.value.message
        assert error.value.hint == "Write `dataset.folder=FOLDER`."


def test_fewer_than_three_clips_of_sufficient_length_are_an_error(tmp_path, digits):
    with pytest.raises(zoo.ZooError, match="contains 0 clips"):
        make(tmp_path).train()
    for number, length in enumerate((5, 5, 2, 1)):
        np.save(tmp_path / f"{number}.npy", digits[:length])
    with pytest.raises(
        zoo.ZooError, match="contains 4 clips, 2 of them with at least 3 frames, but at least 3 such"
    ) as error:
        make(tmp_path).test()
    assert "dataset.frames_in" in error.value.hint
    with pytest.warns(UserWarning, match="1 of 4 clips"):
        assert len(make(tmp_path, frames_in=1).train()) > 0


def test_clips_that_are_too_short_are_skipped_with_a_warning(ten, digits):
    for name in ("short", "shorter"):
        np.save(ten / f"{name}.npy", digits[:2])
    (ten / "empty").mkdir()
    data = make(ten)
    with pytest.warns(UserWarning, match="frame-folder") as warned:
        data.train()
    assert [str(one.message) for one in warned] == [
        "frame-folder: 1 sub-folders contain no images or arrays (empty).",
        "frame-folder: 2 of 12 clips have fewer than 3 frames and are skipped: short.npy, shorter.npy.",
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert set.union(*(clips_of(split) for split in splits(data))) == set("0123456789")


@pytest.mark.parametrize("name", ["broken.gif", "broken.npy", "broken.npz"])
def test_a_damaged_file_is_an_error_that_names_it(folder, name):
    (folder / name).write_bytes(b"neither a GIF nor an array")
    with pytest.raises(zoo.ZooError) as error:
        make(folder).train()
    assert str(folder / name) in error.value.message


def test_an_array_of_another_shape_is_an_error_that_names_it(folder, digits):
    np.save(folder / "still.npy", digits[0])
    with pytest.raises(
        zoo.ZooError, match=r"still\.npy holds an array of shape \(28, 28\), but should hold \(T, H, W\)"
    ):
        make(folder).train()
    (folder / "still.npy").unlink()
    np.savez(folder / "two.npz", a=digits[:5], b=digits[:5])
    with pytest.raises(zoo.ZooError, match=r"two\.npz holds 2 arrays"):
        make(folder).train()


def test_a_frame_of_another_size_is_an_error_that_names_it(tmp_path, digits):
    for name in "abc":
        save_images([digits[0], digits[1][:20], digits[2]], tmp_path / name)
    with pytest.raises(zoo.ZooError, match=r"001\.png is 20 x 28, but the first frame, 000\.png, is 28 x 28"):
        make(tmp_path).train()


def test_a_file_that_is_damaged_after_the_check_is_an_error_that_names_it(tmp_path, digits):
    for name in "abc":
        save_images(digits[:3], tmp_path / name)
    examples = make(tmp_path).train()
    for name in "abc":
        (tmp_path / name / "001.png").write_bytes(b"not an image")
    with pytest.raises(zoo.ZooError, match=r"001\.png"):
        examples[0]


@pytest.mark.parametrize("damage", ["truncated", "empty", "text"])
def test_a_damaged_frame_of_any_clip_is_found_before_the_first_window_is_read(tmp_path, digits, damage):
    for name in "abc":
        save_images(digits[:3], tmp_path / name)
    for name in "abc":
        whole = (path := tmp_path / name / "002.png").read_bytes()
        path.write_bytes({"truncated": whole[:-30], "empty": b"", "text": b"text"}[damage])
        with pytest.raises(zoo.BadFile) as error:
            make(tmp_path).train()
        assert str(path) in error.value.message
        path.write_bytes(whole)


# -- what is found ------------------------------------------------------------


def save_apng(frames, path):
    first, *others = [Image.fromarray(frame) for frame in frames]
    first.save(path, format="PNG", save_all=True, append_images=others, duration=100)


def test_animated_png_files_are_clips_and_single_images_beside_them_are_left_out(tmp_path, digits):
    for number, name in enumerate(("a.png", "b.png", "c.apng")):
        save_apng(digits[10 * number : 10 * number + 4], tmp_path / name)
    Image.fromarray(digits[0]).save(tmp_path / "cover.png")
    data = make(tmp_path)
    with pytest.warns(UserWarning, match="left out: 1 file ending in .png"):
        windows = data.train()
    assert len(windows) == 2
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = clip_layouts.find(tmp_path)
    assert [clip.path.name for clip in found.clips] == ["a.png", "b.png", "c.apng"]


def save_with_late_transparency(digits, path, **options):
    frames = [Image.fromarray(frame).convert("RGBA") for frame in digits[:4]]
    frames[2].putalpha(Image.fromarray(np.where(digits[2] > 0, 255, 0).astype(np.uint8)))
    frames[0].save(path, save_all=True, append_images=frames[1:], **options)


def test_transparency_that_begins_after_the_first_frame_is_said(tmp_path, digits):
    for name in "abc":
        save_gif(digits[:4], tmp_path / f"{name}.gif")
    save_with_late_transparency(digits, tmp_path / "d.png")
    with pytest.warns(UserWarning, match=r"transparent pixels of 1 images are blended with black \(d\.png\)"):
        make(tmp_path).train()


def test_transparency_that_begins_after_the_first_frame_of_a_gif_is_refused_where_it_would_be_misread(tmp_path, digits):
    for name in "abc":
        save_gif(digits[:4], tmp_path / f"{name}.gif")
    save_with_late_transparency(digits, tmp_path / "c.gif", disposal=1)  # then it shows the frame before
    make(tmp_path).train()
    save_with_late_transparency(digits, tmp_path / "c.gif", disposal=2)
    with pytest.raises(zoo.BadFile, match=r"c\.gif has transparent pixels in frame 2, but none in the first"):
        make(tmp_path).train()


@pytest.mark.parametrize(
    ("files", "hint"),
    [
        (["one/a/1.png", "one/b/1.png", "two/c/1.png"], "write for example `dataset.folder={}/one`"),
        (["a/1.jp2", "b/1.jp2", "c/1.AVIF"], "Convert the files ending in .avif and .jp2 to PNG."),
        (["notes.txt"], "Put each clip into its own sub-folder"),
    ],
)
def test_the_cure_for_too_few_clips_depends_on_what_is_there(tmp_path, digits, files, hint):
    for file in files:
        path = tmp_path / file
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".png":
            Image.fromarray(digits[0]).save(path)
        else:
            path.write_bytes(b"")
    with pytest.raises(zoo.ZooError, match="contains 0 clips") as error:
        make(tmp_path).train()
    assert hint.format(tmp_path) in error.value.hint
