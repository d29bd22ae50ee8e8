"""Predictions for many images at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor


def predict_in_batches(
    predict: Callable[[Tensor], Mapping[str, list[Any]]], images: Sequence[Tensor]
) -> list[dict[str, Any]]:
    """What ``predict`` returns for each of the images (N, C, H, W), of which those of one shape are predicted at once.

    ``predict`` returns a list by name, with an item for each image.
    """
    by_shape: dict[tuple[int, ...], list[int]] = {}
    for number, image in enumerate(images):
        by_shape.setdefault(tuple(image.shape[1:]), []).append(number)
    found: list[dict[str, Any]] = [{}] * len(images)
    for numbers in by_shape.values():
        lists = predict(torch.cat([images[number] for number in numbers]))
        start = 0
        for number in numbers:
            stop = start + len(images[number])
            found[number] = {name: items[start:stop] for name, items in lists.items()}
            start = stop
    return found
