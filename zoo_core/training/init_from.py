"""The weights that a run starts from: ``run.init_from``."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NoReturn

import torch

from zoo_core.checkpoint.digest import checksums_by_name
from zoo_core.engine.engine import AccelerateEngine
from zoo_core.engine.fsdp import full_tensor
from zoo_core.errors import BadFile, BadSetting, RunFailed, ZooError, one_line
from zoo_core.model import Model
from zoo_core.registry.resolve import ResolvedRecipe
from zoo_core.weights.format import refuse_not_finite
from zoo_core.weights.load import WeightsFile, expected_tensors, find, read_fitting
from zoo_core.weights.matching import IncompatibleKeys, compare, parameter_names, refuse_different, tied_names

INIT_FROM = "init_from"
"""The key of ``environment.json``, of a checkpoint's origins and of the metadata of weights."""
_SHOWN = 3  # names of each kind in a message
_RECORDED = 1000  # names of each kind in files, since the header of weights may not hold any number of values
_WORDS = {"missing": "the file lacks", "unexpected": "only the file has", "mismatched": "other shapes in the file:"}


@dataclass(frozen=True)
class StartWeights:
    """The weights that were loaded into a model before it was trained."""

    lineage: Mapping[str, Any]
    """What ``environment.json`` and the metadata of the run's weights say of them, see docs/fine-tuning.md."""
    names: frozenset[str]
    """The tensors of the model that were loaded."""
    note: str
    """What was not loaded, in one line; "" if everything was."""


def load_start_weights(model: Model, resolved: ResolvedRecipe) -> StartWeights | None:
    """Load the weights of ``run.init_from`` into ``model``, which is on the CPU; None if there is no such setting.

    Raises:
        UnknownName: if there are no such weights.
        BadFile: if the file can't be loaded, or does not fit the model.
    """
    source, strict = resolved.settings.init_from, resolved.settings.init_strict
    if source is None:
        return None
    with _naming_the_setting(resolved):
        found = find(source, resolved.catalog, of_any_origin=True)
        header, kind = found.header, type(model).__name__
        parameters = parameter_names(model)
        refuse_not_finite(header.path, [name for name in found.not_finite if name in parameters])
        expected = expected_tensors(model.state_dict(), header)
        incompatible = compare(header, expected, kind, strict=False, settings_changed=False)
        incompatible = _without_tied(model, incompatible)
        names = frozenset(expected.keys() - incompatible.missing.keys() - incompatible.mismatched.keys())
        if incompatible and (strict or not names & parameters):
            _refuse(source, found, incompatible, len(names) if names & parameters else 0, kind)
        tensors = read_fitting(header, expected, incompatible, torch.device("cpu"))
        for group in tied_names(model):
            refuse_different(model, [name for name in group if name in tensors], tensors, header)
        model.load_state_dict(tensors, strict=False)  # copies them, and keeps the layout and the place of the model's
    note = ""
    if incompatible:
        which = f"{len(names)} of the {len(expected)} tensors of {kind}, and the others keep their initial values"
        which = which if len(names) < len(expected) else f"all {len(names)} tensors of {kind}"
        note = f"run.init_from: '{one_line(source)}' gives {which}: {_in_words(incompatible)}."
    return StartWeights(_lineage(source, found, strict, incompatible, len(names)), names, note)


@contextmanager
def unchanged_by_setup(
    start: StartWeights | None, model: Model, engine: AccelerateEngine, resolved: ResolvedRecipe
) -> Iterator[None]:
    """Context of a trainer's setup, which may convert the weights that were loaded, but not overwrite them.

    Raises:
        RunFailed: if it does, or if the processes have loaded different weights.
    """
    if start is None:
        yield
        return
    if not engine.process_group.all_equal(int(start.lineage["sha256"][:15], 16)):
        raise RunFailed(
            "the processes see different weights of run.init_from.", "Give all machines the same file or name."
        )
    before = _values(model, start.names)
    yield
    after = _values(model, start.names)
    overwritten = next((name for (name, kind), one in before.items() if after.get((name, kind), one) != one), None)
    if overwritten is not None:
        raise RunFailed(
            f"setup of the trainer '{resolved.recipe.component('trainer')}' overwrites '{overwritten}', which was "
            "loaded from run.init_from.",
            "Initialize weights in the constructor of the model, or leave run.init_from out.",
        )


def _values(model: Model, names: Collection[str]) -> dict[tuple[str, torch.dtype], int]:
    """A checksum of each tensor, by its name and its type, since a setup may convert it to another type."""
    state = {name: full_tensor(one) for name, one in model.state_dict().items() if name in names}
    return {(name, state[name].dtype): one for name, one in checksums_by_name(state).items()}


def refuse_other_start(recorded: Mapping[str, Any] | None, now: str) -> None:
    """Refuse to train again from weights with the SHA-256 ``now`` if others are ``recorded``.

    Raises:
        BadSetting: if they are.
    """
    if recorded is not None and recorded.get("sha256") != now:
        raise BadSetting(
            f"the weights of run.init_from are not those that the run started from: their SHA-256 was "
            f"{recorded.get('sha256')} and is now {now}.",
            "Restore them, or start a new run.",
        )


def _without_tied(model: Model, incompatible: IncompatibleKeys) -> IncompatibleKeys:
    """Names of tied tensors are not missing if the file has one of them, as files of other libraries do."""
    tied = {name: group for group in tied_names(model) for name in group}
    left_out = incompatible.missing.keys() | incompatible.mismatched.keys()
    missing = {
        name: shape for name, shape in incompatible.missing.items() if left_out.issuperset(tied.get(name, (name,)))
    }
    return replace(incompatible, missing=missing)


def _refuse(source: str, found: WeightsFile, incompatible: IncompatibleKeys, fitting: int, model: str) -> NoReturn:
    header = found.header
    if not fitting:
        raise BadFile(
            f"no parameter of {model} is in '{one_line(source)}': {_in_words(incompatible)}.",
            f"According to its header, it is {header.summary()}. `zoo info {header.path}` shows more.",
        )
    raise BadFile(
        f"'{one_line(source)}' does not fit {model}: {_in_words(incompatible)}.",
        f"Write `run.init_strict=false` to load the {fitting} tensors that fit; the others keep their initial values.",
    )


def _in_words(incompatible: IncompatibleKeys) -> str:
    """What does not fit, with a few names of each kind."""
    listed = _listed(incompatible, _SHOWN)
    return "; ".join(f"{_WORDS[kind]} {', '.join(map(one_line, names))}" for kind, names in listed.items())


def _listed(incompatible: IncompatibleKeys, most: int) -> dict[str, list[str]]:
    """The names with their shapes as text, by what is wrong with them; ``most`` of each, and how many more."""
    names = {
        "missing": [f"{name} {shape}" for name, shape in incompatible.missing.items()],
        "unexpected": [f"{name} {shape}" for name, shape in incompatible.unexpected.items()],
        "mismatched": [
            f"{name} {stored} instead of {shape}" for name, (stored, shape) in incompatible.mismatched.items()
        ],
    }
    more = {kind: [f"{len(found) - most:,} more"] * (len(found) > most) for kind, found in names.items()}
    return {kind: found[:most] + more[kind] for kind, found in names.items() if found}


def _lineage(
    source: str, found: WeightsFile, strict: bool, incompatible: IncompatibleKeys, count: int
) -> dict[str, Any]:
    metadata, entry = found.header.metadata, found.entry
    # Not the folders of a path, which are nobody's business but the user's.
    name, _, version = entry.name.partition("@") if entry else (Path(os.path.abspath(source)).name, "", "")
    facts = {
        "name": name,
        "version": version or None,
        "kind": "weights" if entry else "run" if os.path.isdir(source) else "file",
        "sha256": found.sha256,
        "model": metadata.get("model"),
        "recipe": metadata.get("recipe", {}).get("name"),
        "step": metadata.get("step"),
        "license": entry.listed.license if entry else metadata.get("license"),
        "strict": strict,
        "tensors": count,
        "left_out": _listed(incompatible, _RECORDED),
    }
    return {key: value for key, value in facts.items() if value is not None}


@contextmanager
def _naming_the_setting(resolved: ResolvedRecipe) -> Iterator[None]:
    try:
        yield
    except ZooError as error:
        error.message = f"{resolved.recipe.where('run.init_from')}run.init_from: {error.message}"
        error.hint = error.hint or "Give a name of `zoo weights list`, the folder of a run, or a .safetensors file."
        raise
