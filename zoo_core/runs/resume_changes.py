"""What may change when a run is resumed: settings, data, code, versions and the machine."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from zoo_core.config.command_line import resume_command
from zoo_core.config.recipe import Recipe
from zoo_core.config.recipe_files import PARTS
from zoo_core.errors import BadSetting, in_yaml

ORIGINS = ("data", "plugins", "versions", "device", "processes")
"""The keys of ``environment.json`` on which the result of a run depends."""
_INEXACT = {
    "data.fingerprint": "everything that depends on the data",
    "plugins": "everything that its code does",
    "processes": "the random numbers and batch statistics of each process",
    "versions": "rounding and random numbers",
    "device": "rounding",
    "run.compile": "rounding",
    "run.deterministic": "the order of sums on accelerators",
    "run.fsdp": "rounding",
    "run.steps": "schedules that depend on the length of the run, such as learning rates",
    "run.epochs": "schedules that depend on the length of the run, such as learning rates",
    "run.device": "rounding",
    "run.threads": "rounding",
}
_FREE = {
    "run.loggers",
    "run.profile",
    "run.log_every",
    "run.preview_every",
    "run.evaluate_every",
    "run.checkpoint_every",
    "run.checkpoint_minutes",
    "run.keep_checkpoints",
    "run.monitor",
    "run.load_best_at_end",
    "run.patience",
    "run.min_delta",
    "run.workers",
    "run.find_unused_parameters",
}
_FOLLOWS = {"device.type": "run.device", "device.name": "run.device", "device.threads": "run.threads"}
_ABSENT = "(none)"
_SETTINGS = tuple(f"{part}." for part in (*PARTS, "run"))  # how the keys of settings begin
_ALLOW_DATA, _ALLOW_CODE = "--allow-changed-data", "--allow-changed-code"


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


def changed_origins(
    recorded: Mapping[str, Any], now: Mapping[str, Any], plugins: Collection[str], settings: Collection[str]
) -> dict[str, tuple[str, str]]:
    """What differs between two contents of ``environment.json``: the data, code, versions, device and processes.

    Of the plugins only those named in ``plugins`` count. What was not recorded is not compared, nor what follows from a
    change of ``settings``, such as the number of threads from that of ``run.threads``.
    """
    keys = ["data.fingerprint", *(f"plugins.{name}" for name in sorted(plugins)), "processes"]
    keys += [key for key, setting in _FOLLOWS.items() if setting not in settings]
    keys += [f"versions.{key}" for key in now.get("versions", {})]
    pairs = {key: (_at(recorded, key), _at(now, key)) for key in keys}
    return {key: (old, new) for key, (old, new) in pairs.items() if _ABSENT not in (old, new) and old != new}


def refuse_other_origins(changed: Mapping[str, tuple[str, str]], run: Path, *, data: bool, code: bool) -> None:
    """Refuse to continue with other data or another version of a plugin, unless ``data`` or ``code`` allows it.

    Raises:
        BadSetting: with the old and the new value.
    """
    settings = [f"{key}={new}" for key, (_, new) in changed.items() if key.startswith(_SETTINGS)]
    given = [option for option, allowed in ((_ALLOW_DATA, data), (_ALLOW_CODE, code)) if allowed]
    for key, (old, new) in changed.items():
        if key == "data.fingerprint" and not data:
            what, option = "the data have changed since the run was started: their fingerprint", _ALLOW_DATA
        elif key.startswith("plugins.") and not code:
            plugin = key.removeprefix("plugins.")
            what, option = f"the code of the plugin '{plugin}' has changed: it", _ALLOW_CODE
        else:
            continue
        raise BadSetting(
            f"{what} was {old} and is now {new}.",
            "Restore it, start a new run, or continue anyway: " + resume_command(run, [*given, option], settings),
        )


def refuse_fewer_steps(done: int, total: int) -> None:
    """Refuse to resume a run that has more steps than it should have in all.

    Raises:
        BadSetting: if it has.
    """
    if done > total:
        raise BadSetting(
            f"the run is at step {done:,} already, but should have only {total:,} steps.",
            f"Write `run.steps={done}` or more, or start a new run.",
        )


def _at(values: Mapping[str, Any], key: str) -> str:
    part, _, name = key.partition(".")
    found = values.get(part, _ABSENT)
    if name:
        found = found.get(name, _ABSENT) if isinstance(found, Mapping) else _ABSENT
    return str(found)


def resume_warnings(changed: Mapping[str, tuple[str, str]]) -> list[str]:
    """A warning for each change after which the run may differ from an uninterrupted one."""
    return [
        f"{key} is now {new} (was {old}): from now on, the run may differ from an uninterrupted one in {effect}."
        for key, (old, new) in changed.items()
        if (effect := _INEXACT.get(key) or _INEXACT.get(key.partition(".")[0]))
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
