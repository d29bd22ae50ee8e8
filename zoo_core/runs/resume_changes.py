"""What may be another in a run that goes on, and what may not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zoo_core.config.recipe import Recipe
from zoo_core.config.recipe_files import PARTS
from zoo_core.errors import BadSetting, in_yaml

_INEXACT = {
    "processes": "the draws and batch statistics of each process",
    "run.compile": "the last digits of every number",
    "run.fsdp": "the last digits of every number",
    "run.steps": "what follows the length of the run, such as step sizes",
    "run.epochs": "what follows the length of the run, such as step sizes",
    "run.device": "the last digits of every number",
    "run.threads": "the last digits of every number",
}
_FREE = {
    "run.log_every",
    "run.preview_every",
    "run.evaluate_every",
    "run.checkpoint_every",
    "run.checkpoint_minutes",
    "run.keep_checkpoints",
    "run.monitor",
    "run.workers",
}
_ABSENT = "(none)"


def changes(was: Recipe, now: Recipe) -> dict[str, tuple[str, str]]:
    """What differs between two complete recipes, by full key: as it was, and as it is now, in YAML's words.

    Raises:
        BadSetting: if something differs that makes another run of it; shows all that does.
    """
    before, after = dict(flat(was.values)), dict(flat(now.values))
    found = {
        key: (before.get(key, _ABSENT), after.get(key, _ABSENT))
        for key in sorted({**before, **after})
        if before.get(key) != after.get(key)
    }
    other = {key: pair for key, pair in found.items() if key not in _INEXACT and key not in _FREE}
    # Settings of another model say nothing that its name does not.
    renamed = tuple(f"{part}." for part in PARTS if f"{part}.name" in other)
    said = [key for key in other if not key.startswith(renamed) or key.endswith(".name")]
    refused = [f"{key} was {other[key][0]}, and is now {other[key][1]}" for key in said]
    if refused:
        raise BadSetting(
            f"the run was begun with other settings: {'; '.join(refused)}.",
            "Go on with those it has (`zoo run --resume RUN_DIR`), or start a new run.",
        )
    return found


def told(changed: Mapping[str, tuple[str, str]]) -> list[str]:
    """A sentence for each change after which the run is no longer the one that it would have been."""
    return [
        f"{key} is now {new} (was {old}): from here on the run may differ from one that was not stopped in "
        f"{_INEXACT[key]}."
        for key, (old, new) in changed.items()
        if key in _INEXACT
    ]


def flat(values: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Each setting by its full key, in YAML's words, which are the same for a list and a tuple."""
    pairs: list[tuple[str, str]] = []
    for key, value in values.items():
        if isinstance(value, Mapping):
            pairs += flat(value, f"{prefix}{key}.")
        elif prefix or key not in ("summary", "extends", "tags"):
            pairs.append((f"{prefix}{key}", in_yaml(value)))
    return pairs
