"""What a preview or a prediction may contain: text, tables, audio, images, clips, class maps and arrays."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from zoo_core.data.table_csv import Cell
from zoo_core.errors import RunFailed, describe_type

Kind = Literal["text", "table", "audio", "images", "clips", "classes", "array"]
_EXPECTED = "a str, a zoo.Table, a zoo.Audio, a tensor with numbers in it, or a mapping from names to these"
_ROUNDING = 1e-5  # a sample may be this much outside of [-1, 1]; it is clipped
_MOST_CHANNELS = 8
_MOST_RATE = 2**28  # bytes per second of 8 channels, which the header of a WAV file has 32 bits for
_OVERSHOOT = 0.1  # a pixel may be this much outside of [0, 1] without a word


class Table:
    """A table, as a preview or a prediction.

    Parameters
    ----------
    data : mapping of str to sequence, or sequence of mappings
        The columns by name, all of the same length, also as a pandas DataFrame; or the rows, all with the same names.
        A column is a list, or a tensor or an array of one dimension. A cell is a string, a number, a bool or None.

    Attributes
    ----------
    columns : dict of str to list
        The cells of every column.

    Raises
    ------
    ValueError
        If the columns differ in length, rows have other names, or a cell is something else, such as a tensor.

    See Also
    --------
    Trainer.preview : Returns values that viewers show.
    Model.predict : Returns values as well.

    Examples
    --------
    >>> zoo.Table({"digit": [3, 8], "probability": torch.tensor([0.75, 0.25])}).columns
    {'digit': [3, 8], 'probability': [0.75, 0.25]}
    >>> zoo.Table([{"word": "cat", "count": 2}, {"word": "dog", "count": 1}]).columns
    {'word': ['cat', 'dog'], 'count': [2, 1]}
    """

    def __init__(self, data: Mapping[str, Any] | Iterable[Mapping[str, Any]]) -> None:
        columns: Any = data if hasattr(data, "keys") else _columns_of_rows(data)  # a data frame is no Mapping
        self.columns: dict[str, list[Cell]] = {_column_name(name): _cells(name, columns[name]) for name in columns}
        lengths = {name: len(cells) for name, cells in self.columns.items()}
        if len(set(lengths.values())) > 1:
            listed = ", ".join(f"{name!r} has {length}" for name, length in lengths.items())
            raise ValueError(f"the columns of a table should have the same length, but {listed}")

    def __eq__(self, other: object) -> bool:
        # By their text, in which NaN equals NaN.
        return isinstance(other, Table) and repr(self.columns) == repr(other.columns)

    __hash__ = None  # type: ignore[assignment]  # its columns are lists

    def __repr__(self) -> str:
        return f"Table({self.columns})"


class Audio:
    """Sound, as a preview or a prediction.

    Parameters
    ----------
    samples : torch.Tensor
        Samples in [-1, 1], floating-point, shape ``(T,)``, or ``(C, T)`` with at most 8 channels.
    sample_rate : int
        Samples per second, for example 16000.

    Attributes
    ----------
    samples : torch.Tensor
        The samples, shape ``(C, T)``, float32, on the CPU.
    sample_rate : int
        Samples per second.

    Raises
    ------
    ValueError
        If the samples have another shape or type, are not finite or outside of [-1, 1], or the rate is not positive.

    See Also
    --------
    Trainer.preview : Returns values that viewers show.
    Model.predict : Returns values as well.

    Examples
    --------
    >>> tone = zoo.Audio(torch.linspace(0, 2764.6, 16000).sin(), sample_rate=16000)
    >>> tone
    Audio(1.00 s, 1 channel, 16000 Hz)
    """

    def __init__(self, samples: Tensor, sample_rate: int) -> None:
        if (
            isinstance(sample_rate, bool)
            or not isinstance(sample_rate, (int, np.integer))
            or not 0 < sample_rate < _MOST_RATE
        ):
            raise ValueError(
                f"the sample rate of audio is {sample_rate!r}, but should be a positive integer below {_MOST_RATE:,}"
            )
        given = _as_tensor(samples)
        shape = describe_type(given)
        if not isinstance(given, Tensor) or given.ndim not in (1, 2) or not given.numel():
            raise ValueError(f"the samples of audio are {shape}, but should be a tensor of shape (T,) or (C, T)")
        if given.ndim == 2 and len(given) > _MOST_CHANNELS:
            raise ValueError(
                f"the samples of audio are {shape}: {len(given)} channels, but at most {_MOST_CHANNELS} are possible; "
                "the order is (C, T)"
            )
        if not given.is_floating_point():
            raise ValueError(f"the samples of audio are {given.dtype}, but should be floating-point in [-1, 1]")
        values = given.float().reshape(-1, given.shape[-1])
        if not values.isfinite().all():
            raise ValueError("the samples of audio are NaN or infinite in places, but should be in [-1, 1]")
        low, high = values.min().item(), values.max().item()
        if max(-low, high) > 1 + _ROUNDING:
            raise ValueError(
                f"the samples of audio are from {low:.4g} to {high:.4g}, but should be in [-1, 1]; "
                "samples.clamp(-1, 1) clips them"
            )
        self.samples = values.clamp(-1, 1)
        self.sample_rate = int(sample_rate)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Audio):
            return NotImplemented
        return self.sample_rate == other.sample_rate and torch.equal(self.samples, other.samples)

    __hash__ = None  # type: ignore[assignment]  # a tensor is compared by its values

    def __repr__(self) -> str:
        channels, length = self.samples.shape
        plural = "channel" if channels == 1 else "channels"
        return f"Audio({length / self.sample_rate:.2f} s, {channels} {plural}, {self.sample_rate} Hz)"


Value = str | Table | Audio | Tensor
Shown = Value | np.ndarray[Any, Any]
"""What an author may return; an array becomes a tensor."""


def kind_of(value: Any) -> Kind | None:
    """What a viewer shows ``value`` as; None for what is not shown by itself, such as a number or a list.

    The shape of a tensor is its kind: images (N, C, H, W) and clips (N, T, C, H, W) of 1 or 3 channels, a class
    map (H, W) of dtype uint8, and arrays. A number, shape (), and an empty tensor are none of them.
    """
    if isinstance(value, str):
        return "text"
    if isinstance(value, Table):
        return "table"
    if isinstance(value, Audio):
        return "audio"
    if not isinstance(value, Tensor) or not _has_values(value) or not value.ndim or not value.numel():
        return None
    if value.ndim in (4, 5) and value.shape[-3] in (1, 3) and not value.is_complex():
        return "images" if value.ndim == 4 else "clips"
    return "classes" if value.ndim == 2 and value.dtype == torch.uint8 else "array"


def as_preview(returned: Any) -> dict[str, Any]:
    """The values that a preview() returned by name, or one under the name '', as tensors on the CPU; {} for None.

    :func:`unsuitable` says whether a viewer can show them.
    """
    named = returned if isinstance(returned, Mapping) else {"": returned}
    return {name: _as_value(value) for name, value in named.items() if value is not None}


def unsuitable(values: Mapping[Any, Any]) -> str:
    """What is wrong with the values of a preview, such as ``gives an int, but should give …``; empty if nothing is."""
    for name, value in values.items():
        if not isinstance(name, str):
            return f"gives a mapping with the key {name!r}, but its keys should be names"
        if kind_of(value) is None:
            given = f"gives {describe_type(value)}" + (f" as '{name}'" if name else "")
            return f"{given}, but should give {_EXPECTED}; {_advice(value)}"
    return ""


def clipped(values: Mapping[str, Any]) -> str:
    """What a picture of the values does not show, such as ``gives images with values from -1 to 1, …``; else empty."""
    for name, value in values.items():
        kind = kind_of(value)
        if kind not in ("images", "clips") or value.dtype in (torch.uint8, torch.bool):
            continue
        gives, pixels = f"gives {kind}" + (f" as '{name}'" if name else ""), value.float()
        finite = pixels[pixels.isfinite()]
        if finite.numel() < pixels.numel():
            return f"{gives} with values that are NaN or infinite; NaN is drawn in black"
        low, high = finite.min().item(), finite.max().item()
        if low < -_OVERSHOOT or high > 1 + _OVERSHOOT:
            wanted = f"{gives} with values from {low:.4g} to {high:.4g}, which are clipped to [0, 1]"
            return f"{wanted}{_rescaled(low, high)}"
    return ""


def _rescaled(low: float, high: float) -> str:
    if low >= -1 - _OVERSHOOT and high <= 1 + _OVERSHOOT:
        return "; (images + 1) / 2 is in [0, 1]"
    return "; images of dtype uint8 have values from 0 to 255" if low >= 0 and high <= 255 else ""


def images_of(values: Mapping[str, Value]) -> Tensor | None:
    """The images or clips of a preview that is nothing else."""
    value = values.get("")
    return value if isinstance(value, Tensor) and kind_of(value) in ("images", "clips") else None


def copied(value: Any) -> Any:
    """A copy of metrics or of a preview; anything else as it is. A viewer may then change what it is given."""
    if isinstance(value, Tensor):
        return value.detach().clone()
    if isinstance(value, np.ndarray):
        return value.copy()
    if isinstance(value, Mapping):
        return {name: copied(one) for name, one in value.items()}
    if isinstance(value, Table):
        return Table(value.columns)
    if isinstance(value, Audio):
        return Audio(value.samples.clone(), value.sample_rate)
    return value


def as_prediction(returned: Any, source: str) -> dict[str, Any]:
    """The values that ``source``, a predict(), returned by name; other ones, such as numbers and lists, are kept.

    Raises:
        RunFailed: if it returned no mapping from names.
    """
    if not isinstance(returned, Mapping) or not all(isinstance(name, str) and name for name in returned):
        names = f" with the keys {', '.join(map(repr, returned))}" if isinstance(returned, Mapping) else ""
        raise RunFailed(
            f"{source} returns {describe_type(returned)}{names}, but should return a mapping from names to values.",
            "Write for example `return {'text': text}`.",
        )
    return {name: _as_value(value) for name, value in returned.items()}


def as_json(value: Any) -> Any:
    """``default=`` of ``json.dumps`` for a prediction: tensors and arrays as lists, tables as their columns.

    Raises:
        TypeError: if there is no form of ``value`` in JSON.
    """
    if isinstance(value, Table):
        return value.columns
    if isinstance(value, Audio):
        return {"sample_rate": value.sample_rate, "samples": value.samples.tolist()}
    if isinstance(value, (np.ndarray, np.generic)) or (isinstance(value, Tensor) and _has_values(value)):
        return value.tolist()
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    raise TypeError(f"{describe_type(value)} has no form in JSON")


def _as_value(value: Any) -> Any:
    return _printable(value) if isinstance(value, str) else _as_tensor(value)


def _printable(text: str) -> str:
    """``text`` without halves of surrogate pairs, which no file can contain."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _as_tensor(value: Any) -> Any:
    """A tensor or an array of numbers as a dense tensor on the CPU, without a graph; anything else as it is."""
    if isinstance(value, np.ndarray) and value.dtype.kind in "biufc" and not isinstance(value, np.ma.MaskedArray):
        native = value.dtype.newbyteorder("=")
        wide = {"f": np.dtype("f8"), "c": np.dtype("c16")}.get(native.kind, native)  # torch has none above
        return torch.from_numpy(value.astype(min(native, wide, key=lambda one: one.itemsize)))
    if isinstance(value, Tensor) and _has_values(value):
        value = value.detach().cpu()
        value = value.dequantize() if value.is_quantized else value
        return (value if value.layout is torch.strided else value.to_dense()).resolve_conj().resolve_neg()
    return value


def _has_values(value: Tensor) -> bool:
    """Whether it is an array of numbers: a tensor on the meta device has none, and a nested one no shape."""
    return not value.is_meta and not value.is_nested


def _advice(value: Any) -> str:
    if isinstance(value, (list, tuple)) and value and all(isinstance(one, str) for one in value):
        return "several texts are a mapping from names to them, or joined"
    if isinstance(value, (list, tuple)) and value and all(isinstance(one, Tensor) for one in value):
        return "several images are torch.stack(images)"
    if isinstance(value, (list, tuple, Mapping)) or hasattr(value, "keys"):
        return "a table is zoo.Table(columns) or zoo.Table(rows)"
    if isinstance(value, (int, float, np.generic)) or (
        isinstance(value, Tensor) and _has_values(value) and not value.ndim
    ):
        return "a number is a metric, which evaluate returns"
    return "to show nothing, return None"


def _columns_of_rows(rows: Any) -> dict[str, list[Any]]:
    if not isinstance(rows, Iterable):
        raise ValueError(
            f"a table is given {describe_type(rows)}, but should be given a mapping of columns or a list of rows"
        )
    listed = list(rows)
    for number, row in enumerate(listed):
        if not isinstance(row, Mapping):
            raise ValueError(
                f"row {number} of a table is {describe_type(row)}, but should be a mapping from columns to cells"
            )
        if row.keys() != listed[0].keys():
            raise ValueError(f"row {number} of a table has the columns {list(row)}, but row 0 has {list(listed[0])}")
    return {name: [row[name] for row in listed] for name in (listed[0] if listed else ())}


def _column_name(name: Any) -> str:
    if not isinstance(name, str):
        raise ValueError(f"the name of a column of a table is {name!r}, but should be a string")
    return _printable(name)


def _cells(name: str, column: Any) -> list[Cell]:
    values = _as_tensor(column)
    if isinstance(values, (Tensor, np.ndarray)):
        if values.ndim != 1:
            raise ValueError(
                f"the column '{name}' of a table is {describe_type(values)}, but should have one dimension"
            )
        return [_cell(name, one) for one in values.tolist()]
    if isinstance(values, (str, bytes, Mapping)) or not isinstance(values, Iterable):
        raise ValueError(f"the column '{name}' of a table is {describe_type(values)}, but should be a list")
    return [_cell(name, one) for one in values]


def _cell(name: str, cell: Any) -> Cell:
    cell = cell.item() if isinstance(cell, np.generic) else cell
    if isinstance(cell, str):
        return _printable(cell)
    if cell is not None and not isinstance(cell, (int, float)):
        advice = "; value.item() is the number in a tensor" if isinstance(cell, Tensor) else ""
        raise ValueError(
            f"a cell in the column '{name}' of a table is {describe_type(cell)}, but should be a string, a number, "
            f"a bool or None{advice}"
        )
    return cell
