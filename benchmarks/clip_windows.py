"""How long it takes to read a window of a long clip, at its start and at its end, and whether it is exact.

    python benchmarks/clip_windows.py --frames 2000 --size 240 320

For each kind of file: the first reading, which may make an index; then windows of 8 frames at random places, each
compared with the frames that were written, or with a decoding of the whole file.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

import zoo_core as zoo

WINDOW = 8
TRIALS = 25
_CODECS = {".mp4": "libx264", ".mkv": "libx264", ".webm": "libvpx-vp9", ".avi": "mpeg4", ".mpg": "mpeg1video"}


def frames(count: int, height: int, width: int) -> Iterator[NDArray[np.uint8]]:
    """A pattern that moves."""
    random = np.random.default_rng(0)
    small = random.integers(0, 256, (height // 8 + 1, width // 4 + 1, 3), dtype=np.uint8)
    pattern = np.asarray(Image.fromarray(small).resize((2 * width, height)))
    for number in range(count):
        yield np.roll(pattern, 3 * number, axis=1)[:, :width].copy()


def save(path: Path, count: int, height: int, width: int) -> None:
    """Write a clip in the format of the ending."""
    made = frames(count, height, width)
    if path.suffix in _CODECS:
        _save_video(path, made, height, width)
    elif path.suffix == ".npy":
        np.save(path, np.stack(list(made)))
    elif path.suffix == ".npz":
        (np.savez if "stored" in path.name else np.savez_compressed)(path, np.stack(list(made)))
    else:
        mode = "L" if path.suffix == ".gif" else "RGB"  # colors would have to be quantized
        first, *images = (Image.fromarray(frame).convert(mode) for frame in made)
        options = {"lossless": True, "method": 0} if path.suffix == ".webp" else {}
        first.save(path, save_all=True, append_images=images, **options)


def _save_video(path: Path, made: Iterator[NDArray[np.uint8]], height: int, width: int) -> None:
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream(_CODECS[path.suffix], rate=25)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        if path.suffix == ".webm":
            stream.options = {"deadline": "realtime", "cpu-used": "8"}
        for frame in made:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())


def seconds(work: Callable[[], object]) -> float:
    """The time that it takes."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def measure(path: Path, count: int) -> str:
    """A line of the table."""
    zoo.clip_shape(path)
    first = seconds(lambda: zoo.read_frames(path, 3, count - WINDOW))
    early = statistics.median(seconds(lambda: zoo.read_frames(path, 3, 0, WINDOW)) for _ in range(5))
    late = statistics.median(seconds(lambda: zoo.read_frames(path, 3, count - WINDOW)) for _ in range(5))
    whole = zoo.read_frames(path, 3)
    random = np.random.default_rng(1)
    starts = random.integers(0, count - WINDOW, TRIALS).tolist()
    exact = sum(
        torch.equal(zoo.read_frames(path, 3, one, one + WINDOW), whole[one : one + WINDOW]) for one in starts
    )  # fmt: skip
    return (
        f"| {path.name} | {first:.2f} s | {1000 * early:.0f} ms | {1000 * late:.0f} ms | {exact} of {TRIALS} |"
    )  # fmt: skip


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--frames", type=int, default=2000)
    parser.add_argument("--size", type=int, nargs=2, default=(240, 320))
    options = parser.parse_args()
    names = ["a.gif", "a.png", "a.webp", "a.tif", "a.npy", "stored.npz", "compressed.npz"]
    names += [f"a{suffix}" for suffix in _CODECS] if find_spec("av") else []
    print("| file | first reading | window at the start | window at the end | equal to the whole |")
    print("| --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["ZOO_HOME"] = str(Path(folder, "home"))
        for name in names:
            path = Path(folder, name)
            save(path, options.frames, *options.size)
            print(measure(path, options.frames), flush=True)
            path.unlink()


if __name__ == "__main__":
    main()
