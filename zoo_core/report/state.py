"""How far a run is, and how it ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from zoo_core.errors import ZooError
from zoo_core.folder import RunFolder
from zoo_core.recipes import Recipe
from zoo_core.sessions import standing


@dataclass(frozen=True)
class State:
    """``word`` is one of done, running, stopped, failed, killed; ``why`` says more, or is ""."""

    word: str
    why: str = ""


def state_of(folder: RunFolder, sessions: Sequence[Mapping[str, Any]], step: int, total: int | None) -> State:
    if folder.is_locked():
        return State("running")
    if sessions:
        word, why = standing(sessions[-1], at_work=False)
        return State(word, "its process ended without a word" if word == "killed" else why)
    if not folder.weights.is_file():
        return State("killed", "it left no result")
    return State("stopped") if total is not None and step < total else State("done")


def steps_of(config: Recipe, environment: Mapping[str, Any]) -> int | None:
    """The steps that the run is to make; None where its folder does not say."""
    try:
        settings = config.run_settings()
    except ZooError:  # a run of a zoo that knew other settings
        return None
    if settings.steps is not None:
        return settings.steps
    data = environment.get("data")
    examples = data.get("training_examples") if isinstance(data, dict) else None
    if not isinstance(examples, int) or settings.epochs is None:
        return None
    return round(settings.epochs * max(1, examples // settings.batch_size))
