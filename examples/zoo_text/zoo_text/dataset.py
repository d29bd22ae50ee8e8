"""Characters of a text file, as numbers."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from pydoc_data.topics import topics
from typing import Any

import torch
from torch import Tensor

import zoo_core as zoo


class TextFile(zoo.InMemoryDataset):
    """Examples are ``{"text": (context + 1,)}``: characters as places in the vocabulary; the last tenth is the test."""

    class Config:
        file: str = zoo.setting("", "text file in UTF-8; empty: the help texts of Python")
        context: int = zoo.setting(64, "characters from which the next one is predicted", ge=1)

    def tensors(self) -> dict[str, dict[str, Tensor]]:
        place = {character: place for place, character in enumerate(self.provides()["vocabulary"])}
        places = torch.tensor([place[character] for character in self._text])
        size = self.config.context + 1
        windows = places[: len(places) // size * size].view(-1, size)  # (N, context + 1)
        if len(windows) < 10:
            raise zoo.BadFile(
                f"the text has {len(places)} characters, but at least {10 * size} are needed.", "Give a longer one."
            )
        return {
            "train": {"text": windows[: len(windows) * 9 // 10]},
            "test": {"text": windows[len(windows) * 9 // 10 :]},
        }

    def provides(self) -> dict[str, Any]:
        return {"vocabulary": "".join(sorted(set(self._text))), "context": self.config.context}

    @cached_property
    def _text(self) -> str:
        if not self.config.file:
            return "\n".join(topics.values())
        try:
            return Path(self.config.file).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise zoo.BadFile(f"{self.config.file} can't be read: {error}.", "Give a text file in UTF-8.") from error
