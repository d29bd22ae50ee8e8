"""Real inputs for a network: test examples of the dataset that its weights were evaluated on."""

from __future__ import annotations

import warnings
from typing import Any

from torch import Tensor
from torch.utils.data import default_collate

from zoo_core.config.recipe import typed_settings
from zoo_core.data.forward_inputs import Inputs
from zoo_core.errors import one_line
from zoo_core.registry.catalog import Catalog
from zoo_core.registry.resolve import build
from zoo_core.tools.evaluate import recipe_of
from zoo_core.tools.export.program import Traced
from zoo_core.weights.header import Header

_COUNT = 4


def real_inputs(header: Header, traced: Traced, catalog: Catalog) -> tuple[Inputs | None, str]:
    """Inputs from the dataset in the weights' recipe, with a description; or None and the reason why there are none.

    Inputs that the dataset does not have, such as the noise of a GAN, are random. Nothing is downloaded if the dataset
    has a setting ``download``.
    """
    example = traced.example
    count = _COUNT if "batch" in traced.dynamic else max(1, example.count)
    try:
        recipe = recipe_of(header)
        name = recipe.component("dataset")
        batch = _batch(name, typed_settings(recipe, "dataset"), count, catalog)
    except Exception as error:  # the dataset is a plugin, which may raise anything; the check is then skipped
        reason = one_line(str(error) or type(error).__name__)
        return None, f"the dataset of the weights' recipe is not available: {reason}"
    any_size = "height" in traced.dynamic
    matches = {argument: _matching(argument, like, batch, any_size) for argument, like in example.tensors.items()}
    found = {argument: tensor for argument, tensor in matches.items() if tensor is not None}
    if not found:
        return None, f"the dataset '{name}' has {', '.join(batch)}, none of which fits forward"
    size = next((tensor.shape[-2:] for argument, tensor in found.items() if example.is_image(argument)), None)
    drawn = example.sample(count if example.count else None, (size[0], size[1]) if size else None)
    rest = " and ".join(argument for argument in example.tensors if argument not in found)
    return {**drawn, **found}, f"{name}, {rest} random" if rest else name


def _batch(name: str, settings: dict[str, Any], count: int, catalog: Catalog) -> dict[str, Any]:
    if "download" in catalog.find("dataset", name).load().Config.__dataclass_fields__:
        settings = {**settings, "download": False}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # for example that a subset is used
        examples = build("dataset", name, settings, catalog).test()
        numbers = range(min(count, len(examples)))
        if hasattr(examples, "__getitems__"):
            batch = examples.__getitems__(list(numbers))
            return dict(batch) if isinstance(batch, dict) else dict(default_collate(batch))
        return dict(default_collate([dict(examples[number]) for number in numbers]))


def _matching(argument: str, like: Tensor, batch: dict[str, Any], any_size: bool) -> Tensor | None:
    """The tensor of that name, or else images of a fitting shape; the frames of a clip may become channels."""
    named = [batch[argument]] if argument in batch else list(batch.values()) if like.ndim in (4, 5) else []
    for tensor in (one for one in named if isinstance(one, Tensor)):
        for candidate in (tensor, tensor.flatten(1, 2) if tensor.ndim == 5 and like.ndim == 4 else None):
            if candidate is not None and _fits(candidate, like, any_size):
                return candidate.contiguous()
    return None


def _fits(tensor: Tensor, like: Tensor, any_size: bool) -> bool:
    kept = slice(1, -2 if like.ndim in (4, 5) and any_size else None)
    return tensor.dtype == like.dtype and tensor.ndim == like.ndim and tensor.shape[kept] == like.shape[kept]
