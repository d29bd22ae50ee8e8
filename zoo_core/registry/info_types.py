"""The type of what :func:`zoo_core.info` returns."""

from __future__ import annotations

from typing import Any, NotRequired, TypedDict


class ComponentSetting(TypedDict):
    """A setting of a model, trainer or dataset, or an option of an optimizer or schedule."""

    name: str
    type: str
    default: Any
    help: str
    required: bool
    from_dataset: str


RecipeSetting = TypedDict(
    "RecipeSetting",
    {
        "key": str,
        "value": Any,
        "set in": str,
        "type": NotRequired[str],
        "default": NotRequired[Any],
        "help": NotRequired[str],
        "required": NotRequired[bool],
        "from_dataset": NotRequired[str],
    },
)
"""A setting of a recipe. The meaning is left out for the names of components and for unknown settings."""

ComponentInfo = TypedDict(
    "ComponentInfo",
    {
        "name": str,
        "summary": str,
        "paper": str,
        "license": str,
        "class": str,
        "settings": list[ComponentSetting],
        "parameters": NotRequired[int],
    },
)
"""A model, trainer, dataset, task, logger, optimizer or schedule."""


class RecipeInfo(TypedDict):
    """A recipe with all settings of its parts."""

    name: str
    plugin: str
    summary: str
    incomplete: NotRequired[str]
    settings: list[RecipeSetting]


class WeightsInfo(TypedDict):
    """Published weights."""

    name: str
    summary: str
    model: NotRequired[str]
    recipe: NotRequired[str]
    license: NotRequired[str]
    location: NotRequired[str]
    size: NotRequired[int]
    sha256: NotRequired[str]
    deprecated: NotRequired[str]
    metrics: dict[str, float]
    settings: list[RecipeSetting]


class Info(TypedDict, total=False):
    """Description of a name, by kind. A name may be that of a recipe, of weights and of components at the same time.

    `info` returns it: a dictionary with some of these keys. Every description has ``"name"``, ``"summary"`` and
    ``"settings"``, a list of dictionaries.

    Attributes
    ----------
    recipe : RecipeInfo
        ``"plugin"``, and for each setting its ``"key"``, ``"value"``, where it is set (``"set in"``) and its meaning.
        ``"incomplete"`` is the reason if some settings are unknown, because a component is not installed.
    weights : WeightsInfo
        ``"model"``, ``"recipe"``, ``"license"``, ``"location"``, ``"size"`` in bytes, ``"sha256"`` and ``"metrics"``.
    model : ComponentInfo
        ``"paper"``, ``"license"``, ``"class"``, ``"parameters"`` with the default settings, and for each setting its
        ``"name"``, ``"type"``, ``"default"``, ``"help"`` and whether it is ``"required"``.
    trainer : ComponentInfo
        As for a model, without ``"parameters"``.
    dataset : ComponentInfo
        As for a model, without ``"parameters"``.
    task : ComponentInfo
        As for a model, without ``"parameters"`` and settings.
    logger : ComponentInfo
        As for a task.
    optimizer : ComponentInfo
        As for a model, without ``"parameters"``; the settings are the options of the optimizer.
    schedule : ComponentInfo
        As for an optimizer.
    """

    recipe: RecipeInfo
    weights: WeightsInfo
    model: ComponentInfo
    trainer: ComponentInfo
    dataset: ComponentInfo
    task: ComponentInfo
    logger: ComponentInfo
    optimizer: ComponentInfo
    schedule: ComponentInfo
