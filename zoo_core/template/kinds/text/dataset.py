"""The characters of a text file; without one, of sentences that are made up."""

from __future__ import annotations

import random
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
import zoo_core as zoo
from torch import Tensor

_TEST_FRACTION = 0.1
_SENTENCES = 3000
_WORDS = (
    ("a", "the", "every", "no", "my"),
    ("small", "old", "red", "quiet", "hungry"),
    ("fox", "owl", "bear", "whale", "beetle"),
    ("sees", "likes", "follows", "hears", "forgets"),
    ("the moon", "a river", "the wind", "a story", "its shadow"),
)


class Text(zoo.InMemoryDataset):
    """Examples are ``{"token": (context + 1,) int64}``, the positions of characters in the vocabulary.

    They do not overlap. The test split is the end of the text.
    """

    class Config:
        file: str | None = zoo.setting(None, "text file in UTF-8; null: made-up sentences")
        context: int = zoo.setting(64, "characters that the model sees to predict the next one", ge=1)

    config: Config

    def tensors(self) -> dict[str, dict[str, Tensor]]:
        number = {character: index for index, character in enumerate(self._vocabulary)}
        token = torch.tensor([number[character] for character in self._text])
        examples = token.unfold(0, self.config.context + 1, self.config.context + 1)  # (N, context + 1)
        train = round((1 - _TEST_FRACTION) * len(examples))
        return {"train": {"token": examples[:train]}, "test": {"token": examples[train:]}}

    def provides(self) -> Mapping[str, Any]:
        """What the settings of the model that are made with ``from_dataset`` are filled in with."""
        return {"vocabulary": self._vocabulary, "context": self.config.context}

    @cached_property
    def _text(self) -> str:
        if self.config.file is None:
            draw = random.Random(0)
            return "".join(" ".join(map(draw.choice, _WORDS)) + ".\n" for _ in range(_SENTENCES))
        path = Path(self.config.file)
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            raise zoo.BadFile(f"{path} can't be read: {error}.", "Give a text file in UTF-8.") from error
        if len(text) < 20 * (self.config.context + 1):
            raise zoo.BadFile(f"{path} has only {len(text):,} characters.", "Give a longer text, or a smaller context.")
        return text

    @cached_property
    def _vocabulary(self) -> str:
        return "".join(sorted(set(self._text)))
