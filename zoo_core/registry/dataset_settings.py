"""Settings of models and trainers that the dataset provides: ``zoo.setting(…, from_dataset="num_classes")``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zoo_core.config.recipe import Recipe, typed_settings
from zoo_core.config.settings import describe, fit
from zoo_core.errors import BadSetting, in_yaml

_OPEN = "???"  # OmegaConf's mark of a value that has to be given


def with_dataset(
    recipe: Recipe,
    part: str,
    config_class: type[Any],
    linked: Mapping[str, str],
    provided: Mapping[str, Any] | None,
) -> tuple[dict[str, Any], set[str]]:
    """The settings of a part with the values that the dataset provides, and the names of those that are left open.

    ``linked`` is what the dataset calls each setting. As long as nothing is known of what it ``provided``, settings are
    left open.

    Raises:
        BadSetting: if the recipe contradicts the dataset, or a value cannot be that of its setting, or one is missing.
    """
    settings = typed_settings(recipe, part)
    left_open = {name for name in linked if settings.get(name, _OPEN) == _OPEN}
    if provided is None:
        return settings, left_open
    required = {info.name: info for info in describe(config_class) if info.required}
    source = f"the dataset '{recipe.component('dataset')}'" if "dataset" in recipe.parts else ""
    for name, key in linked.items():
        full_key = f"{part}.{name}"
        if key not in provided:
            if name in left_open and (name in settings or name in required):
                if "dataset" not in recipe.parts:
                    raise BadSetting(
                        f"{full_key} is missing: recipe '{recipe.name}' has no dataset that would provide {key}.",
                        f"Add `{full_key}=…`, or `dataset: {{name: …}}`; see `zoo list datasets`.",
                    )
                raise BadSetting(
                    f"{full_key} is missing: {source} does not provide {key}, and the recipe does not set it.",
                    f"Add `{full_key}=…`, or return {{{key!r}: …}} in provides() of the dataset.",
                )
            continue
        stated, expected = fit(config_class, name, provided[key])
        if expected:
            raise BadSetting(
                f"{source} provides {key} = {in_yaml(stated)}, but {full_key} should be {expected}.",
                f"Correct provides() of the dataset, whose {key} becomes {full_key}.",
            )
        if name in left_open:
            settings[name] = stated
            continue
        value, wrong = fit(config_class, name, settings[name])
        if not wrong and _contradict(key, value, stated):  # what is wrong is refused later
            raise BadSetting(
                f"{recipe.where(full_key)}{full_key} is {in_yaml(value)}, but {source} provides {key} = "
                f"{in_yaml(stated)}.",
                f"Leave {full_key} out to take that of the dataset, or choose another dataset.",
            )
    return settings, set()


def _contradict(key: str, given: Any, stated: Any) -> bool:
    """Whether a recipe cannot mean the dataset. A model may have more classes than there are in the data."""
    if key == "num_classes" and isinstance(given, int) and isinstance(stated, int):
        return given < stated
    return bool(given != stated)
