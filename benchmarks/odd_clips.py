"""What `zoo fit` makes of odd folders of clips: a plan, or two lines that name a file and a cure.

    python benchmarks/odd_clips.py

Prints a line for each layout, and exits with 1 if one ends in another way.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

import zoo_core as zoo
from zoo_core.registry.catalog import Catalog
from zoo_core.tools.fit.plan import plan, recognize

LAYOUTS: dict[str, Callable[[Path], object]] = {}


def layout(make: Callable[[Path], object]) -> Callable[[Path], object]:
    """Register a function that fills a folder."""
    LAYOUTS[make.__name__] = make
    return make


def moving(count: int = 40, height: int = 48, width: int = 64, seed: int = 0) -> NDArray[np.uint8]:
    """A blob that moves (T, H, W)."""
    rows, columns = np.mgrid[:height, :width]
    return np.stack(
        [
            (255 * np.exp(-((rows - 10 - seed - t / 2) ** 2 + (columns - 8 - t) ** 2) / 60)).astype(np.uint8)
            for t in range(count)
        ]
    )


def images(folder: Path, frames: Any, name: str = "{}.png") -> Path:
    """Save frames as images."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, frame in enumerate(frames, start=1):
        Image.fromarray(frame).save(folder / name.format(number))
    return folder


def animation(path: Path, frames: Any, **options: Any) -> Path:
    """Save frames as one file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    first, *others = map(Image.fromarray, frames)
    first.save(path, save_all=True, append_images=others, **options)
    return path


def video(path: Path, frames: Any, codec: str = "libx264") -> Path:
    """Save frames as a video."""
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = frames.shape[2], frames.shape[1], "yuv420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="gray")))
        container.mux(stream.encode())
    return path


def _each(count: int, save: Callable[[int], object]) -> None:
    for number in range(count):
        save(number)


# -- that are planned ------------------------------------------------------------------------------------------------


@layout
def ok_two_folders(f: Path) -> None:
    _each(2, lambda k: images(f / f"c{k}", moving(seed=k)))


@layout
def ok_twelve_folders(f: Path) -> None:
    _each(12, lambda k: images(f / f"c{k}", moving(12, seed=k)))


@layout
def ok_one_sequence(f: Path) -> None:
    images(f, moving(), "frame{}.png")


@layout
def ok_one_sequence_with_notes(f: Path) -> None:
    images(f, moving())
    (f / "README.txt").write_text("about")


@layout
def ok_one_gif(f: Path) -> None:
    animation(f / "a.gif", moving())


@layout
def ok_gifs_in_folders(f: Path) -> None:
    _each(6, lambda k: animation(f / ("run" if k % 2 else "walk") / f"{k}.gif", moving(seed=k)))


@layout
def ok_apng(f: Path) -> None:
    _each(3, lambda k: animation(f / f"{k}.png", moving(seed=k)))


@layout
def ok_webp(f: Path) -> None:
    _each(3, lambda k: animation(f / f"{k}.webp", moving(seed=k), lossless=True))


@layout
def ok_tiff_stack(f: Path) -> None:
    animation(f / "a.tif", moving())


@layout
def ok_tiff_stack_16_bits(f: Path) -> None:
    animation(f / "a.tif", moving().astype(np.uint16) * 257)


@layout
def ok_tiff_stack_float(f: Path) -> None:
    animation(f / "a.tif", moving().astype(np.float32) / 255)


@layout
def ok_npy(f: Path) -> None:
    np.save(f / "a.npy", moving())


@layout
def ok_npy_color(f: Path) -> None:
    np.save(f / "a.npy", np.stack([moving()] * 3, axis=-1))


@layout
def ok_npy_of_clips(f: Path) -> None:
    np.save(f / "a.npy", np.stack([moving(12, seed=k) for k in range(15)]))


@layout
def ok_npy_floats(f: Path) -> None:
    np.save(f / "a.npy", moving().astype(np.float64) / 255)


@layout
def ok_npy_fortran(f: Path) -> None:
    np.save(f / "a.npy", np.asfortranarray(moving()))


@layout
def ok_npz(f: Path) -> None:
    np.savez_compressed(f / "a.npz", moving())


@layout
def ok_given_splits(f: Path) -> None:
    for split in ("train", "val", "test"):
        _each(2, lambda k, split=split: images(f / split / f"c{k}", moving(seed=k)))  # type: ignore[misc]


@layout
def ok_train_and_test(f: Path) -> None:
    _each(4, lambda k: animation(f / ("train" if k < 3 else "test") / f"{k}.gif", moving(seed=k)))


@layout
def ok_mp4(f: Path) -> None:
    video(f / "a.mp4", moving())


@layout
def ok_mixed_kinds(f: Path) -> None:
    images(f / "a", moving())
    animation(f / "b.gif", moving(seed=1))
    np.save(f / "c.npy", moving(seed=2))


@layout
def ok_hidden_files(f: Path) -> None:
    _each(2, lambda k: images(f / f"c{k}", moving(seed=k)))
    (f / ".DS_Store").write_bytes(b"\0")
    (f / "c0" / "._1.png").write_bytes(b"\0")
    (f / "__MACOSX").mkdir()


@layout
def ok_empty_folder_beside(f: Path) -> None:
    _each(2, lambda k: images(f / f"c{k}", moving(seed=k)))
    (f / "empty").mkdir()


@layout
def ok_link_loop(f: Path) -> None:
    _each(2, lambda k: images(f / f"c{k}", moving(seed=k)))
    (f / "self").symlink_to(f)
    (f / "loop").symlink_to(f / "loop")


@layout
def ok_link_to_a_clip(f: Path) -> None:
    _each(2, lambda k: images(f / f"c{k}", moving(seed=k)))
    (f / "again").symlink_to(f / "c0")


@layout
def ok_several_sizes(f: Path) -> None:
    _each(3, lambda k: images(f / f"c{k}", moving(height=48 + 8 * k, seed=k)))


@layout
def ok_one_short_clip(f: Path) -> None:
    _each(3, lambda k: images(f / f"c{k}", moving(40 if k else 1, seed=k)))


@layout
def ok_numbers_with_zeros(f: Path) -> None:
    images(f / "a", moving(), "img_{:05d}.png")


@layout
def ok_jpeg_frames(f: Path) -> None:
    _each(2, lambda k: images(f / f"c{k}", moving(seed=k), "{}.jpg"))


@layout
def ok_upper_case(f: Path) -> None:
    animation(f / "A.GIF", moving())


@layout
def ok_odd_sizes(f: Path) -> None:
    np.save(f / "a.npy", moving(height=37, width=51))


@layout
def ok_large_frames(f: Path) -> None:
    np.save(f / "a.npy", moving(12, 700, 1300))


# -- that are refused, or no clips -----------------------------------------------------------------------------------


@layout
def bad_truncated_gif(f: Path) -> None:
    path = animation(f / "a.gif", moving())
    path.write_bytes(path.read_bytes()[:-200])
    animation(f / "b.gif", moving(seed=1))


@layout
def bad_truncated_tiff(f: Path) -> None:
    path = animation(f / "a.tif", moving())
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    animation(f / "b.tif", moving(seed=1))


@layout
def bad_truncated_npy(f: Path) -> None:
    np.save(f / "a.npy", moving())
    (f / "a.npy").write_bytes((f / "a.npy").read_bytes()[:-1000])
    np.save(f / "b.npy", moving())


@layout
def bad_truncated_mp4(f: Path) -> None:
    path = video(f / "a.mp4", moving())
    path.write_bytes(path.read_bytes()[:500])


@layout
def bad_frames_of_two_sizes(f: Path) -> None:
    images(f / "a", moving())
    Image.fromarray(moving(1, 20, 20)[0]).save(f / "a" / "17.png")


@layout
def bad_one_frame_each(f: Path) -> None:
    _each(3, lambda k: np.save(f / f"{k}.npy", moving(1)))


@layout
def bad_four_frames(f: Path) -> None:
    np.save(f / "a.npy", moving(4))


@layout
def bad_float_beyond_1(f: Path) -> None:
    np.save(f / "a.npy", moving().astype(np.float32))


@layout
def bad_nan(f: Path) -> None:
    frames = moving().astype(np.float32) / 255
    frames[20, 3, 3] = np.nan
    np.save(f / "a.npy", frames)


@layout
def bad_object_array(f: Path) -> None:
    np.save(f / "a.npy", np.array([[[print] * 9] * 9] * 9, dtype=object))
    np.save(f / "b.npy", moving())


@layout
def bad_object_npz(f: Path) -> None:
    np.savez(f / "a.npz", np.array([[[print] * 9] * 9] * 9, dtype=object))
    np.save(f / "b.npy", moving())


@layout
def bad_npz_of_two_arrays(f: Path) -> None:
    np.savez(f / "a.npz", a=moving(), b=moving())
    np.save(f / "b.npy", moving())


@layout
def bad_12_bits_in_16(f: Path) -> None:
    _each(2, lambda k: images(f / f"c{k}", moving(seed=k).astype(np.uint16) * 16))


@layout
def bad_12_bits_in_16_stack(f: Path) -> None:
    animation(f / "a.tif", moving().astype(np.uint16) * 16)


@layout
def bad_uint16_npy(f: Path) -> None:
    np.save(f / "a.npy", moving().astype(np.uint16) * 16)


@layout
def bad_zeros_and_ones(f: Path) -> None:
    np.save(f / "a.npy", moving() // 200)


@layout
def bad_time_first(f: Path) -> None:
    np.save(f / "a.npy", np.stack([np.roll(moving(20), 9 * k, axis=2) for k in range(6)]).transpose(1, 0, 2, 3))


@layout
def bad_fifo(f: Path) -> None:
    images(f / "a", moving())
    os.mkfifo(f / "a" / "41.png")


@layout
def bad_fifo_as_clip(f: Path) -> None:
    images(f / "a", moving())
    os.mkfifo(f / "b.gif")


@layout
def bad_empty(f: Path) -> None:
    pass


@layout
def bad_empty_folders(f: Path) -> None:
    _each(3, lambda k: (f / f"c{k}").mkdir())


@layout
def bad_gif_among_frames(f: Path) -> None:
    _each(2, lambda k: images(f / f"c{k}", moving(seed=k)))
    animation(f / "c0" / "b.gif", moving())


@layout
def bad_frame_of_another_format(f: Path) -> None:
    _each(2, lambda k: images(f / f"c{k}", moving(seed=k)))
    (f / "c0" / "41.heic").write_bytes(b"a photo")


@layout
def bad_empty_file(f: Path) -> None:
    _each(2, lambda k: images(f / f"c{k}", moving(seed=k)))
    (f / "c0" / "41.png").touch()


@layout
def bad_no_video(f: Path) -> None:
    (f / "a.mp4").write_bytes(b"not a video")


@layout
def bad_video_of_sound(f: Path) -> None:
    (f / "a.mkv").write_bytes(b"\x1aE\xdf\xa3" + bytes(200))


@layout
def bad_playlist(f: Path) -> None:
    (f / "a.mp4").write_text("#EXTM3U\n#EXTINF:1\nfile:///etc/hostname\n")


@layout
def bad_five_channels(f: Path) -> None:
    np.save(f / "a.npy", np.stack([moving()] * 5, axis=-1))


@layout
def bad_one_image(f: Path) -> None:
    np.save(f / "a.npy", np.stack([moving(1)[0]] * 3, axis=-1))


@layout
def bad_shuffled_pictures(f: Path) -> None:
    images(f, np.random.default_rng(0).integers(0, 256, (20, 32, 32), np.uint8))


@layout
def bad_clips_deeper(f: Path) -> None:
    _each(2, lambda k: images(f / "data" / "clips" / f"c{k}", moving(seed=k)))


@layout
def bad_imagej(f: Path) -> None:
    from PIL import TiffImagePlugin

    info = TiffImagePlugin.ImageFileDirectory_v2()
    info[270] = "ImageJ=1.53\nimages=40\n"
    Image.fromarray(moving(1)[0]).save(f / "a.tif", tiffinfo=info)
    animation(f / "b.tif", moving())


@layout
def bad_unreadable_folder(f: Path) -> None:
    images(f / "a", moving())
    (f / "a" / "dir.png").mkdir()


def outcome(folder: Path, catalog: Catalog) -> str:
    """What `zoo fit` says, in one line."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            recognized = recognize(folder, catalog)
            planned = plan(recognized, zoo.Budget(5, 2**32, "cpu"), ["run.steps=1"])
            dataset = dict(planned.recipe.values["dataset"])
            built = zoo.build(dataset.pop("name"), dataset, kind="dataset")
            example = built.train()[0]
    except zoo.ZooError as error:
        return f"refused: {error.message} | {error.hint}".replace(str(folder), "F")
    shape = tuple(example["past"].shape) if "past" in example else ""
    return f"{recognized.entry.name}: {'; '.join([recognized.finding.summary, *recognized.finding.details])} {shape}"


def main() -> int:
    """Print a line for each layout."""
    catalog, failed = Catalog(), 0
    chosen = sys.argv[1:] or list(LAYOUTS)
    for name in chosen:
        folder = Path(tempfile.mkdtemp(prefix="clips-"))
        try:
            LAYOUTS[name](folder)
            said = outcome(folder, catalog)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        right = said.startswith("clips: ") if name.startswith("ok_") else said.startswith("refused: ")
        failed += not right
        print(f"{'' if right else 'WRONG '}{name}: {said}", flush=True)
    print(f"{len(chosen) - failed} of {len(chosen)} are right")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
