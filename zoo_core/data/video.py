"""Read the frames of a video file with PyAV, from the key frame before the first one that is needed."""

from __future__ import annotations

import bisect
import math
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo_core.data.decoded_clips import decoded
from zoo_core.errors import BadFile
from zoo_core.files import stat_regular
from zoo_core.fingerprint.per_file import Identity, map_files

SUFFIXES = (".mp4", ".avi", ".mov", ".mkv", ".webm", ".mpg", ".mpeg", ".m4v")
_HINT = "Give a video that a player shows, or save its frames as PNG images in a folder."
# Of FFmpeg; others, such as playlists, open further files or addresses.
_CONTAINERS = {"mov", "mp4", "m4a", "3gp", "3g2", "mj2", "avi", "matroska", "webm", "mpeg", "mpegts"}
_EXACT = {"mov", "mp4", "avi", "matroska", "webm"}  # containers that find a key frame by its time
_COMPLETE = 0.9  # of the frames that a file states
_VERSION = 1  # of the index


@dataclass(frozen=True)
class VideoIndex:
    """Where the frames of a video are.

    ``times`` are the presentation times of all frames in ascending order, and ``keys`` those of the frames from which
    decoding can start; empty if the file does not state different times for all frames.
    """

    length: int
    height: int
    width: int
    times: tuple[int, ...]
    keys: tuple[int, ...]


def video_index(path: Path) -> VideoIndex:
    """The index of a video. All of it is decoded once; the result is kept in ``ZOO_HOME/cache`` and in the process.

    Raises:
        BadFile: if PyAV is not installed, or the file can't be read or contains no frames.
    """
    return _index(path, Identity.of(path))


@lru_cache(maxsize=4096)
def _index(path: Path, _identity: Identity) -> VideoIndex:
    found = map_files(_inspect, [path], cache=_cache(path), task="checking videos")[0]
    return _from_json(found)


def _from_json(found: dict[str, Any]) -> VideoIndex:
    """The index of a video from what `_inspect` returns."""
    return VideoIndex(**{**found, "times": tuple(found["times"]), "keys": tuple(found["keys"])})


def check(paths: list[Path]) -> list[VideoIndex]:
    """The indices of several videos, which are read in threads."""
    if not paths:
        return []
    return [_from_json(one) for one in map_files(_inspect, paths, cache=_cache(paths[0]), task="checking videos")]


def read(path: Path, start: int, stop: int | None) -> NDArray[np.uint8]:
    """The frames ``start`` to ``stop``, as of a slice: (T, H, W, 3).

    Raises:
        BadFile: if the file can't be read.
    """
    index = video_index(path)
    numbers = range(index.length)[start:stop]
    if not numbers:
        return np.empty((0, index.height, index.width, 3), np.uint8)
    if not index.times:  # it can only be decoded from the start
        shape = (index.length, index.height, index.width, 3)
        form = f"av-{_library(path).__version__}"
        array = decoded(path, form, lambda: math.prod(shape), lambda file: _write(file, path, shape))
        if array is not None:
            return np.array(array[start:stop])
    frames = _between(path, index, numbers, seek=bool(index.times))
    if len(frames) != len(numbers) and index.times:  # the container has put the key frame elsewhere
        frames = _between(path, index, numbers, seek=False)
    if len(frames) != len(numbers):
        raise BadFile(f"{path} has other frames than when it was checked.", "Start again when nothing writes to it.")
    return np.stack(frames)


def _between(path: Path, index: VideoIndex, numbers: range, *, seek: bool) -> list[NDArray[np.uint8]]:
    """The frames of the ``numbers``; fewer if a frame is missed after a seek."""
    frames: list[NDArray[np.uint8]] = []
    with _opened(path) as (container, stream):
        if seek:
            wanted = index.times[numbers[0] : numbers[-1] + 1]
            key = index.keys[bisect.bisect_right(index.keys, wanted[0]) - 1]
            container.seek(key, stream=stream, backward=True)
            for frame in _frames(container, stream, path):
                if frame.pts is None or frame.pts < wanted[0]:
                    continue
                if frame.pts != wanted[len(frames)]:
                    break
                frames.append(_pixels(frame))
                if len(frames) == len(wanted):
                    break
            return frames
        for number, frame in enumerate(_frames(container, stream, path)):
            frames += [_pixels(frame)] if number >= numbers[0] else []
            if len(frames) == len(numbers):
                break
    return frames


def _write(file: Path, path: Path, shape: tuple[int, ...]) -> None:
    array = np.lib.format.open_memmap(file, "w+", np.uint8, shape)
    with _opened(path) as (container, stream):
        for number, frame in enumerate(_frames(container, stream, path)):
            array[number] = _pixels(frame)
    array.flush()


def _inspect(path: Path, stopped: threading.Event) -> dict[str, Any]:
    """The index of a video, as a JSON value."""
    times: list[int | None] = []
    keys: list[int | None] = []
    shape = None
    with _opened(path) as (container, stream):
        for frame in _frames(container, stream, path):
            if stopped.is_set():
                break
            if shape is None:
                shape = _pixels(frame).shape
                size = frame.height, frame.width
            if (frame.height, frame.width) != size:
                raise BadFile(f"{path} changes the size of its frames.", "Save it with one size.")
            times.append(frame.pts)
            keys += [frame.pts] if frame.key_frame else []
        stated, exact = _stated_length(stream), bool(_EXACT.intersection(container.format.name.split(",")))
    if shape is None:
        raise BadFile(f"{path} contains no frames.", _HINT)
    if len(times) < _COMPLETE * stated and not stopped.is_set():
        raise BadFile(f"{path} ends after {len(times)} of {stated:.0f} frames.", _HINT)
    known = [time for time in times if time is not None]
    seekable = exact and len(known) == len(times) and known == sorted(set(known)) and bool(keys) and keys[0] == known[0]
    index = VideoIndex(
        len(times),
        shape[0],
        shape[1],
        tuple(known) if seekable else (),
        tuple(time for time in keys if time is not None) if seekable else (),
    )
    return asdict(index)


def _stated_length(stream: Any) -> float:
    """The number of frames that the file states; 0 if it does not."""
    if stream.frames:
        return float(stream.frames)
    duration = re.fullmatch(r"(\d+):(\d+):([\d.]+)", stream.metadata.get("DURATION", ""))
    if duration is None or not stream.average_rate:
        return 0.0
    hours, minutes, seconds = map(float, duration.groups())
    return (3600 * hours + 60 * minutes + seconds) * float(stream.average_rate)


def _pixels(frame: Any) -> NDArray[np.uint8]:
    """The pixels (H, W, 3) of a frame, turned as its file says that it is shown."""
    pixels: NDArray[np.uint8] = frame.to_ndarray(format="rgb24")
    return np.rot90(pixels, round(frame.rotation / 90)) if frame.rotation else pixels


@contextmanager
def _opened(path: Path) -> Iterator[tuple[Any, Any]]:
    av = _library(path)
    if not stat_regular(path).st_size:
        raise BadFile(f"{path} is empty.", _HINT)
    try:
        with path.open("rb") as file, av.open(file, mode="r") as container:  # an open file can't refer to other files
            if not _CONTAINERS.intersection(container.format.name.split(",")):
                raise BadFile(f"{path} is a {container.format.name} file, and no video that is read.", _HINT)
            if not container.streams.video:
                raise BadFile(f"{path} contains no frames.", _HINT)
            stream = container.streams.video[0]
            yield container, stream
    except BadFile:
        raise
    except (av.error.FFmpegError, OSError, ValueError, OverflowError) as error:
        reason = (getattr(error, "strerror", None) or str(error)).rstrip(".")
        raise BadFile(f"{path} can't be read: {reason}.", _HINT) from error


def _frames(container: Any, stream: Any, path: Path) -> Iterator[Any]:
    for frame in container.decode(stream):
        if frame.is_corrupt:
            raise BadFile(f"{path} is damaged, or ends early.", _HINT)
        yield frame


def _library(path: Path) -> Any:
    try:
        import av
    except ModuleNotFoundError as error:
        raise BadFile(
            f"{path} is a video, for which PyAV is needed.", 'Install it with `pip install "zoo-core[video]"`.'
        ) from error
    av.logging.set_level(None)  # what is wrong with a file is in the error
    return av


def _cache(path: Path) -> str:
    return f"video-{_VERSION}-av-{_library(path).__version__}"
