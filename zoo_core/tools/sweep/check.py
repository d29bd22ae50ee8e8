"""Checks every choice of a sweep before anything is written."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from zoo_core.engine.engine import AccelerateEngine
from zoo_core.engine.own_settings import own_settings
from zoo_core.errors import BadSetting, RunFailed, ZooError
from zoo_core.loggers import loggers_of
from zoo_core.registry.catalog import Catalog
from zoo_core.registry.resolve import ResolvedRecipe, resolve
from zoo_core.tools.sweep.plan import Plan, where_in
from zoo_core.tools.sweep.space import Choices
from zoo_core.training.assemble import try_out
from zoo_core.training.monitored_metric import check_monitored_metric
from zoo_core.training.opened import open_dataset

Params = Mapping[str, str]
_OF_ASSEMBLY = (
    "batch_size",
    "grad_accumulation_steps",
    "freeze",
    "init_from",
    "loggers",
    "monitor",
    "ema_decay",
    "fsdp",
)


def check_plan(planned: Plan, catalog: Catalog) -> Plan:
    """Check every choice and the ends of every range; returns ``planned`` with all defaults of the recipe written out.

    The settings of each are resolved, and the device is asked for its precision; what a choice says of the data is
    compared with the dataset. The first trial and one with each choice of a name, or of a setting that the parts of a
    run may refuse, are built, and the metric is looked for in an evaluation of two examples. A combination of choices,
    and a step, may still fail.

    Raises:
        ZooError: if a trial would have an invalid recipe.
    """
    firsts = {key: axis.ends[0] for key, axis in planned.space.items()}
    others = [(key, {**firsts, key: end}) for key, axis in planned.space.items() for end in axis.ends[1:]]
    with _naming(planned):
        first = _resolved(planned, catalog, firsts)
        found = [(key, _resolved(planned, catalog, params)) for key, params in others]
        _check_different(planned, [*((key, first) for key in planned.space), *found])
        if planned.settings.pruner != "none" and not first.settings.evaluate_every:
            raise BadSetting(
                "a pruner needs evaluations during training, but run.evaluate_every is 0.",
                "Add for example run.evaluate_every=100, or leave --pruner out.",
            )
        for key, params in others:
            if key.startswith(("dataset.", "model.")):
                _check_data(_resolved(planned, catalog, params))
        for key, params in [("", firsts), *others]:
            if not key or (_is_of_assembly(key) and isinstance(planned.space[key], Choices)):
                _build(_resolved(planned, catalog, params), planned.settings.metric)
    return replace(planned, recipe=first.recipe)


def _check_different(planned: Plan, found: Iterable[tuple[str, ResolvedRecipe]]) -> None:
    """Refuse choices that are one value in the type of their setting, such as 1e-3 and 0.001 of a number."""
    values: dict[str, list[Mapping[str, Any]]] = {key: [] for key in planned.space}
    for key, resolved in found:
        axis = planned.space[key]
        texts = axis.ends
        if isinstance(axis, Choices) and resolved.recipe.values in values[key]:
            text = texts[len(values[key])]
            raise BadSetting(f"{key}={','.join(texts)} has the duplicate choice {text}.", "Remove one of them.")
        values[key].append(resolved.recipe.values)


def _resolved(planned: Plan, catalog: Catalog, params: Params) -> ResolvedRecipe:
    resolved = resolve(planned.recipe_of(params), catalog)
    resolved.load()  # imports the classes
    with own_settings():
        AccelerateEngine(resolved.settings).close()  # refuses a device, or a precision that it does not have
    return resolved


def _check_data(resolved: ResolvedRecipe) -> None:
    """Raises ZooError if a choice contradicts the dataset."""
    with resolved.catalog.active():
        open_dataset(resolved)


def _is_of_assembly(key: str) -> bool:
    """Whether the parts of a run may refuse a value when they are put together; numbers of steps and rates are not."""
    return key.endswith(".name") or key.removeprefix("run.") in _OF_ASSEMBLY


def _build(resolved: ResolvedRecipe, metric: str) -> None:
    """Raises ZooError if the parts refuse each other, or if no evaluation returns the metric."""
    try:
        with resolved.catalog.active(), own_settings(), warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # the run of the trial repeats them
            loop = try_out(resolved)
            check_monitored_metric(loop.evaluator, metric)
            if resolved.settings.monitor != metric:
                check_monitored_metric(loop.evaluator)
            loggers_of(resolved)
            loop.engine.close()
    except Exception as error:
        if isinstance(error, ZooError) and not isinstance(error, RunFailed):
            raise
        # An error of a plugin's code, as for lack of memory: this trial fails, and others may not.


@contextmanager
def _naming(planned: Plan) -> Iterator[None]:
    """Errors of a choice begin with its file and line in the recipe."""
    try:
        yield
    except ZooError as error:
        named = next((key for key in planned.space if re.match(rf"{re.escape(key)}\b", error.message)), "")
        error.message = f"{where_in(planned.recipe, named)}{error.message}"
        raise
