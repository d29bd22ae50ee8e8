"""Whether the value of white is known of all images of a data set, so that none is read nearly black."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import zoo_core as zoo

_MAX = {8: 255, 16: 65535}
_FEW_BITS = 2**14  # values below are those of a camera with 14 bits or less, or of dark images
_DARK = 2**12
_DARK_8_BIT = 2**5  # 3 of 8 bits are never used
_ROUNDING = 1e-5
_SHOWN = 3

_Peak = tuple[float, Path]  # the largest value of a file


def check_depth(files: Sequence[Path], facts: Sequence[zoo.ImageFacts], max_value: int | None) -> list[str]:
    """Refuse images, all or some of which are so dark that white must have another value; notes on doubtful ones.

    The rules are those of "How your files are read" in the documentation of the U-Net.

    Raises:
        zoo.BadFile: the message names a file.
    """
    found = list(zip(files, facts, strict=True))
    _check_other_types([(file, one) for file, one in found if one.dtype not in ("uint8", "uint16")], max_value)
    notes = _check_8_bits([(file, one) for file, one in found if one.dtype == "uint8"], max_value)
    deep = [(one.highest, file) for file, one in found if one.dtype == "uint16" and one.white is None]
    return notes + (_check_16_bits(deep, max_value) if deep else [])


def planned(files: Sequence[Path], facts: Sequence[zoo.ImageFacts]) -> dict[str, Any]:
    """The settings ``channels`` and ``max_value`` that images need, for a plan that states them.

    Raises:
        zoo.BadFile: if no value of white follows from the images.
    """
    settings: dict[str, Any] = {}
    bands = {one.bands for one in facts}
    first = facts[0]
    if len(bands) == 1 and first.channels not in (1, 3) and first.channels == first.bands:
        settings["channels"] = first.bands
    try:
        check_depth(files, facts, None)
    except zoo.BadFile:
        dtypes = {one.dtype for one in facts}
        highest = max(one.highest for one in facts)
        value = _white(highest)
        full = {"uint8": _MAX[8], "uint16": _MAX[16]}.get(first.dtype, math.inf)
        if len(dtypes) > 1 or value >= full or min(one.lowest for one in facts) < 0:
            raise
        settings["max_value"] = value
    else:
        if all(one.dtype == "uint16" and one.white is None for one in facts) and any(
            0 < one.highest < _FEW_BITS for one in facts
        ):  # dark ones, which a prediction refuses unless the weights say which value is white
            settings["max_value"] = _MAX[16]
    return settings


def _check_other_types(found: Sequence[tuple[Path, zoo.ImageFacts]], max_value: int | None) -> None:
    for file, one in found:
        is_float = one.dtype.startswith("float")
        slack = _ROUNDING if is_float else 0
        if one.lowest < -slack:
            raise zoo.BadFile(
                f"{file} holds negative values, from {one.lowest:.4g} to {one.highest:.4g}.",
                "Scale all images to [0, 1] and save them as floating-point values.",
            )
        if max_value is None and (not is_float or one.highest > 1 + slack):
            highest = max(other.highest for _, other in found)
            what = "floating-point values" if is_float else one.dtype
            raise zoo.BadFile(
                f"{file} holds {what} up to {one.highest:.6g}, and does not say which value is white.",
                f"Set the value of white, for example `dataset.max_value={_white(highest)}`.",
            )
        _refuse_beyond([(one.highest, file)], max_value, slack)
    floats = [(one.highest, file) for file, one in found if one.dtype.startswith("float")]
    if floats and max_value is not None and max_value > 1 and 0 < max(floats)[0] <= 1:
        raise zoo.BadFile(
            f"the values of all floating-point images end at {max(floats)[0]:.4g} (in {max(floats)[1]}): with "
            f"{max_value} as white they would be nearly black.",
            "Leave dataset.max_value out, or multiply the values by it.",
        )


def _check_8_bits(found: Sequence[tuple[Path, zoo.ImageFacts]], max_value: int | None) -> list[str]:
    if max_value is not None and max_value <= _MAX[8]:
        _refuse_beyond([(one.highest, file) for file, one in found], max_value)
        return []
    peaks = [(one.highest, file) for file, one in found if one.highest]
    if not peaks:
        return []
    highest, file = max(peaks, key=lambda one: one[0])
    if highest < _DARK_8_BIT:
        white = 2 ** int(highest).bit_length() - 1
        raise _too_dark(8, highest, file, f"`dataset.max_value={white}`; 255 if the images are that dark")
    if binary := [(path, one) for path, one in found if one.binary]:
        raise zoo.BadFile(
            f"the images of 8 bits have different scales: {binary[0][0]} holds 0 and 1 only, and {file} values up to "
            f"{highest:.0f}.",
            "Multiply the values of the first by 255; or, if they are that dark, write `dataset.max_value=255`.",
        )
    if 2 * highest < _MAX[8]:
        return [_note(8, highest, file)]
    return []


def _check_16_bits(deep: Sequence[_Peak], max_value: int | None) -> list[str]:
    if max_value is not None:
        _refuse_beyond(deep, max_value)
        return []
    highest, file = max(deep, key=lambda one: one[0])
    if 0 < highest < _FEW_BITS:
        raise _too_dark(16, highest, file, f"`dataset.max_value={_white(highest)}`")
    if highest < _MAX[16] and _is_full(highest):
        raise _too_dark(16, highest, file, f"`dataset.max_value={highest:.0f}`; 65535 if the images are that dark")
    notes = [_note(16, highest, file)] if 0 < 2 * highest < _MAX[16] else []
    few = [one for one in deep if 0 < one[0] < _FEW_BITS]
    others = [one for one in deep if one[0] >= _FEW_BITS]
    if other := _of_fewer_bits(few, others, len(deep)):
        raise zoo.BadFile(
            f"the images of 16 bits have different depths: the values of {other[1]} end at {other[0]:.0f}, and those "
            f"of {file} at {highest:.0f}.",
            f"Scale all of them to 0..{_MAX[16]}; or, if that is white in all, write `dataset.max_value={_MAX[16]}`.",
        )
    if few:
        names = ", ".join(path.name for _, path in few[:_SHOWN]) + (", …" if len(few) > _SHOWN else "")
        notes.append(
            f"{len(few)} of {len(deep)} images of 16 bits end below {_FEW_BITS} and are taken for dark ones ({names})"
        )
    return notes


def _of_fewer_bits(few: Sequence[_Peak], others: Sequence[_Peak], count: int) -> _Peak | None:
    """A file that seems to have fewer bits than the others, rather than to be darker."""
    highest = max(others)[0]
    full = [one for one in (*few, *others) if one[0] < highest and _is_full(one[0])]
    dark = [one for one in few if one[0] < _DARK]
    shared = Counter(value for value, _ in few)
    same = [one for one in few if shared[one[0]] > 1]  # the value at which a camera of fewer bits ends
    if full or dark or same:
        return min(full or dark or same)
    # Dark images come in all degrees, and those of another camera do not.
    apart = bool(few) and 2 * max(few)[0] <= min(others)[0] and len(few) >= max(2, count / 10)
    return min(few) if apart or (few and 2 * len(few) >= count) else None


def _is_full(value: float) -> bool:
    """Whether a value is the largest one of 8 to 15 bits, such as 4095 and 32767."""
    return any(value == 2**bits - 1 for bits in range(8, 16))


def _refuse_beyond(peaks: Sequence[_Peak], max_value: int | None, slack: float = 0) -> None:
    if max_value is None or not peaks:
        return
    highest, file = max(peaks, key=lambda one: one[0])
    if highest > max_value * (1 + slack):
        raise zoo.BadFile(
            f"{file} holds values up to {highest:.6g}, but dataset.max_value is {max_value}.",
            f"Write `dataset.max_value={math.ceil(highest)}` or more.",
        )


def _too_dark(bits: int, highest: float, file: Path, example: str) -> zoo.BadFile:
    return zoo.BadFile(
        f"the values of all images of {bits} bits end at {highest:.0f} (in {file}): with {_MAX[bits]} as white they "
        "would be nearly black.",
        f"Set the value of white, for example {example}.",
    )


def _note(bits: int, highest: float, file: Path) -> str:
    return (
        f"the values of all images of {bits} bits end at {highest:.0f} of {_MAX[bits]} ({file.name}); if that is "
        f"white, write dataset.max_value={highest:.0f}"
    )


def _white(highest: float) -> int:
    """The largest value of as few bits as the values need: 8 at least, unless 3 of these would never be used."""
    needed = int(2 ** max(1, math.ceil(highest).bit_length()) - 1)
    return needed if highest < _DARK_8_BIT else max(255, needed)
