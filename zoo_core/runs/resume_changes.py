"""Which settings may change when a run is resumed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zoo_core.config.recipe import Recipe
from zoo_core.config.recipe_files import PARTS
from zoo_core.errors import BadSetting, in_yaml

_INEXACT = {
    "processes": "the random numbers and batch statistics of each process",
    "run.compile": "rounding",
    "run.fsdp": "rounding",
    "run.steps": "schedules that depend on the length of the run, such as learning rates",
    "run.epochs": "schedules that depend on the length of the run, such as learning rates",
    "run.device": "rounding",
    "run.threads": "rounding",
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
    "run.find_unused_parameters",
}
_ABSENT = "(none)"


def changes(was: Recipe, now: Recipe) -> dict[str, tuple[str, str]]:
    """The differences between two complete recipes, by full key: the old and the new value, written in YAML.

    Raises:
        BadSetting: if a setting differs that a resumed run cannot change; all of these are listed.
    """
    before, after = dict(flat(was.values)), dict(flat(now.values))
    found = {
        key: (before.get(key, _ABSENT), after.get(key, _ABSENT))
        for key in sorted({**before, **after})
        if before.get(key) != after.get(key)
    }
    other = {key: pair for key, pair in found.items() if key not in _INEXACT and key not in _FREE}
    # If a component is replaced, most of its settings differ; its name is enough.
    replaced = tuple(f"{part}." for part in PARTS if f"{part}.name" in other)
    relevant = [key for key in other if not key.startswith(replaced) or key.endswith(".name")]
    refused = [f"{key} was {other[key][0]} and is now {other[key][1]}" for key in relevant]
    if refused:
        raise BadSetting(
            f"the run was started with other settings: {'; '.join(refused)}.",
            "Resume it with its own settings (`zoo run --resume RUN_DIR`), or start a new run.",
        )
    return found


def resume_warnings(changed: Mapping[str, tuple[str, str]]) -> list[str]:
    """A warning for each change after which the run may differ from an uninterrupted one."""
    return [
        f"{key} is now {new} (was {old}): from now on, the run may differ from an uninterrupted one in {_INEXACT[key]}."
        for key, (old, new) in changed.items()
        if key in _INEXACT
    ]


def flat(values: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """(full key, value) of each setting. Values are written in YAML, so that a list equals a tuple."""
    pairs: list[tuple[str, str]] = []
    for key, value in values.items():
        if isinstance(value, Mapping):
            pairs += flat(value, f"{prefix}{key}.")
        elif prefix or key not in ("summary", "extends", "tags"):
            pairs.append((f"{prefix}{key}", in_yaml(value)))
    return pairs
