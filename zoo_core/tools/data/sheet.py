"""A contact sheet: examples as training sees them, several draws of each, and the frequency of the classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from zoo_core.data.image_output import palette
from zoo_core.dataset import Batch
from zoo_core.errors import printable
from zoo_core.tools.data.check import sample
from zoo_core.tools.data.source import Source

_CELL = 160  # pixels of the longer side of an example
_FRAMES = 4  # of each clip of an example
_DRAWS_OF_CLIPS = 2
_GAP = 6
_LINE = 14  # height of a line of text
_BAR = 180
_MOST_CLASSES = 40
_ALPHA = 0.5
_INVISIBLE = 1e-3
_IGNORED = (128, 128, 128)
_BACKGROUND, _TEXT = (255, 255, 255), (20, 20, 20)
Row = list[Image.Image]


def draw_sheet(source: Source, rows: Sequence[dict[str, Any]], title: str, examples: int, draws: int) -> Image.Image:
    """The sheet of a source whose classes have these ``rows``, of `Classes.rows`.

    Raises:
        ZooError: if an example can't be read.
    """
    painter = _Painter(source.class_names)
    stored, train = source.splits["train"], source.dataset.train()
    indices = sample(min(len(stored), len(train)), examples)
    cells: list[Row] = []
    for index in indices:
        first = source.example("train", index)
        drawn = [source.training_example(train, index, epoch) for epoch in range(draws)]
        shown = painter.cells(first, f"{index}")
        if len(shown) > 1:  # a clip: each draw has a row
            cells.append(shown)
            rows_of_draws = [_draws(painter, first, [one], n) for n, one in enumerate(drawn[:_DRAWS_OF_CLIPS], 1)]
            cells += filter(None, rows_of_draws)
        else:
            cells.append(shown + _draws(painter, first, drawn))
    width = max((len(row) for row in cells), default=0)
    if width == 1:  # nothing is random: several examples in a row
        flat = [cell for row in cells for cell in row]
        columns = min(6, max(1, len(flat)))
        cells = [flat[start : start + columns] for start in range(0, len(flat), columns)]
    return _assembled(title, cells, _frequencies(rows))


def _draws(painter: _Painter, stored: Batch, drawn: list[Batch], start: int = 1) -> Row:
    """The cells of the draws, unless all of them are the example as it is stored."""
    if all(_equal(stored, one) for one in drawn):
        return []
    return [cell for number, one in enumerate(drawn, start) for cell in painter.cells(one, f"draw {number}")]


def _equal(first: Mapping[str, Any], second: Mapping[str, Any]) -> bool:
    return all(
        _close(value, second[name]) if isinstance(value, Tensor) else value == second[name]
        for name, value in first.items()
    )


def _close(first: Tensor, second: Tensor) -> bool:
    """Whether nobody could see a difference: a transform that does nothing may round."""
    return first.shape == second.shape and torch.allclose(first.double(), second.double(), rtol=0, atol=_INVISIBLE)


class _Painter:
    def __init__(self, class_names: list[str]) -> None:
        self.names = class_names
        colors = palette(max(2, len(class_names)))
        self.colors = torch.tensor([*colors, _IGNORED], dtype=torch.float32) / 255

    def cells(self, batch: Batch, caption: str) -> Row:
        """One cell for an image with its mask or label; for a clip, some of its frames."""
        example = {name: value[0] for name, value in batch.items() if isinstance(value, Tensor)}
        images = {name: value for name, value in example.items() if _is_image(value)}
        clips = {name: value for name, value in example.items() if _is_clip(value)}
        masks = {name: value for name, value in example.items() if _is_mask(value)}
        words = [f"{caption}:", *self._words(example)] if self._words(example) else [caption]
        if images:
            first = next(iter(images.values()))
            fitting = [mask for mask in masks.values() if mask.shape == first.shape[-2:]]
            return [self._cell(self._overlaid(first, fitting[0] if fitting else None), " ".join(words))]
        if clips:
            return [
                self._cell(_rgb(clip[number]), f"{caption} {name} {number}")
                for name, clip in clips.items()
                for number in _spaced(len(clip))
            ]
        if masks:
            return [self._cell(self._colors_of(next(iter(masks.values()))), " ".join(words))]
        return [_captioned(Image.new("RGB", (_CELL, _LINE), _BACKGROUND), " ".join(words))]

    def _words(self, example: Mapping[str, Tensor]) -> list[str]:
        words = []
        for name, value in example.items():
            if value.ndim == 0:
                number = value.item()
                is_class = name == "label" and isinstance(number, int) and 0 <= number < len(self.names)
                words.append(self.names[int(number)] if is_class else f"{name}={number:.4g}")
            elif value.ndim == 1:
                words.append(f"{name}=[{', '.join(f'{one:.3g}' for one in value.tolist()[:4])}]")
        return words

    def _overlaid(self, image: Tensor, mask: Tensor | None) -> Tensor:
        colors = _rgb(image)
        if mask is None:
            return colors
        tinted = (1 - _ALPHA) * colors + _ALPHA * self._colors_of(mask)
        return torch.where(mask != 0, tinted, colors)

    def _colors_of(self, mask: Tensor) -> Tensor:
        last = len(self.colors) - 1
        inside = (mask >= 0) & (mask < last)
        return self.colors[mask.long().where(inside, last)].permute(2, 0, 1)

    def _cell(self, image: Tensor, caption: str) -> Image.Image:
        pixels = (image.nan_to_num(0.0).clamp(0, 1) * 255).round().byte().permute(1, 2, 0).contiguous().numpy()
        return _captioned(_fitted(Image.fromarray(pixels)), caption)


def _spaced(length: int) -> list[int]:
    """The frames that are shown: evenly spaced, with the first and the last one."""
    count = min(_FRAMES, length)
    return [round(number * (length - 1) / max(1, count - 1)) for number in range(count)]


def _is_image(value: Tensor) -> bool:
    return value.is_floating_point() and value.ndim == 3 and value.numel() > 0


def _is_clip(value: Tensor) -> bool:
    return value.is_floating_point() and value.ndim == 4 and value.numel() > 0


def _is_mask(value: Tensor) -> bool:
    return not value.is_floating_point() and value.ndim == 2 and value.numel() > 0


def _rgb(image: Tensor) -> Tensor:
    """(C, H, W) as (3, H, W) in [0, 1]; values that are not in it are scaled to it."""
    shown = image[:3] if len(image) >= 3 else image[:1].expand(3, -1, -1)
    shown = shown.float()
    low, high = float(shown.min()), float(shown.max())
    return shown if low >= 0 and high <= 1 else (shown - low) / max(1e-12, high - low)


def _fitted(image: Image.Image) -> Image.Image:
    """The image with sides of at most ``_CELL`` pixels; a small one is enlarged by a whole number."""
    longest = max(image.size)
    if longest <= _CELL:
        factor = max(1, _CELL // longest)
        return image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST)
    size = (max(1, round(side * _CELL / longest)) for side in image.size)
    width, height = size
    return image.resize((width, height), Image.Resampling.LANCZOS)


def _captioned(image: Image.Image, caption: str) -> Image.Image:
    cell = Image.new("RGB", (max(image.width, _CELL // 2), image.height + _LINE), _BACKGROUND)
    cell.paste(image, (0, 0))
    _write(cell, (0, image.height), caption, cell.width)
    return cell


def _write(image: Image.Image, place: tuple[int, int], text: str, width: int) -> None:
    font, draw = ImageFont.load_default(), ImageDraw.Draw(image)
    shown = printable(text)
    while shown and draw.textlength(shown, font=font) > width:
        shown = f"{shown.removesuffix('…')[:-1]}…" if len(shown) > 1 else ""
    draw.text(place, shown, fill=_TEXT, font=font)


def _frequencies(rows: Sequence[dict[str, Any]]) -> Image.Image | None:
    """A line for each class: its color, its name, and a bar of its frequency."""
    if not rows:
        return None
    shown = rows[:_MOST_CLASSES]
    more = len(rows) - len(shown)
    image = Image.new("RGB", (2 * _BAR + 160, _LINE * (len(shown) + (more > 0))), _BACKGROUND)
    draw, colors = ImageDraw.Draw(image), palette(max(2, len(rows)))
    largest = max(row["fraction"] for row in rows) or 1
    has_colors = "pixels" in rows[0]
    for number, row in enumerate(shown):
        top = number * _LINE
        color = _IGNORED if row["class"].endswith("(no class)") else colors[number]
        if has_colors:
            draw.rectangle((0, top + 2, 10, top + _LINE - 3), fill=color, outline=_TEXT)
        _write(image, (16, top), row["class"], _BAR - 20)
        bar = round(_BAR * row["fraction"] / largest)
        draw.rectangle((_BAR, top + 2, _BAR + bar, top + _LINE - 3), fill=(90, 130, 180))
        _write(image, (2 * _BAR + 8, top), f"{row['fraction']:.2%}, in {row['examples']:,} examples", 150)
    if more:
        _write(image, (16, len(shown) * _LINE), f"and {more} more classes", 2 * _BAR)
    return image


def _assembled(title: str, cells: list[Row], below: Image.Image | None) -> Image.Image:
    columns = max((len(row) for row in cells), default=0)
    widths = [max((row[column].width for row in cells if column < len(row)), default=0) for column in range(columns)]
    heights = [max(cell.height for cell in row) for row in cells]
    below_size = below.size if below else (0, 0)
    width = max(sum(widths) + _GAP * (columns + 1), below_size[0] + 2 * _GAP, 240)
    height = _LINE + sum(heights) + _GAP * (len(cells) + 3) + below_size[1]
    sheet = Image.new("RGB", (width, height), _BACKGROUND)
    _write(sheet, (_GAP, _GAP // 2), title, width - 2 * _GAP)
    top = _LINE + _GAP
    for row, tallest in zip(cells, heights, strict=True):
        left = _GAP
        for cell, wide in zip(row, widths, strict=False):
            sheet.paste(cell, (left, top))
            left += wide + _GAP
        top += tallest + _GAP
    if below:
        sheet.paste(below, (_GAP, top + _GAP))
    return sheet
