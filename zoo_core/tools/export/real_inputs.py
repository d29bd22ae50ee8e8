"""Real input for a network: evaluation examples of the data set that its weights were measured on."""

from __future__ import annotations

import warnings
from typing import Any

from torch import Tensor
from torch.utils.data import default_collate

from zoo_core.data.forward_inputs import Inputs
from zoo_core.errors import one_line
from zoo_core.registry.catalog import Catalog
from zoo_core.registry.resolve import build
from zoo_core.tools.evaluate import recipe_of
from zoo_core.tools.export.program import Traced
from zoo_core.weights.header import Header

_COUNT = 4


def real_inputs(header: Header, traced: Traced, catalog: Catalog) -> tuple[Inputs | None, str]:
    """Examples of the data set in the weights' recipe, and what they are; or None, and why there are none.

    What forward takes and the data set does not have (a GAN's noise) is drawn. Nothing is downloaded for it, as far as
    the data set has a setting ``download`` to say so with.
    """
    example = traced.example
    count = _COUNT if "batch" in traced.dynamic else max(1, example.count)
    try:
        recipe = recipe_of(header)
        name = recipe.component("dataset")
        batch = _batch(name, recipe.settings("dataset"), count, catalog)
    except Exception as error:  # a data set is a plugin's, and may not be here; the check goes on without
        return None, f"no data set of the weights' recipe: {one_line(str(error) or type(error).__name__)}"
    any_size = "height" in traced.dynamic
    taken = {wanted: _taken(wanted, like, batch, any_size) for wanted, like in example.tensors.items()}
    found = {wanted: tensor for wanted, tensor in taken.items() if tensor is not None}
    if not found:
        return None, f"the data set '{name}' has {', '.join(batch)}, none of which fits forward"
    size = next((tensor.shape[-2:] for wanted, tensor in found.items() if example.is_image(wanted)), None)
    drawn = example.sample(count if example.count else None, (size[0], size[1]) if size else None)
    rest = " and ".join(wanted for wanted in example.tensors if wanted not in found)
    return {**drawn, **found}, f"{name}, {rest} random" if rest else name


def _batch(name: str, settings: dict[str, Any], count: int, catalog: Catalog) -> dict[str, Any]:
    if "download" in catalog.find("dataset", name).load().Config.__dataclass_fields__:
        settings = {**settings, "download": False}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that these are fewer digits than the weights were measured on
        examples = build("dataset", name, settings, catalog).test()
        numbers = range(min(count, len(examples)))
        if hasattr(examples, "__getitems__"):
            batch = examples.__getitems__(list(numbers))
            return dict(batch) if isinstance(batch, dict) else dict(default_collate(batch))
        return dict(default_collate([dict(examples[number]) for number in numbers]))


def _taken(wanted: str, like: Tensor, batch: dict[str, Any], any_size: bool) -> Tensor | None:
    """The tensor of that name, or else pictures that fit: as they are, or a clip's frames as channels."""
    named = [batch[wanted]] if wanted in batch else list(batch.values()) if like.ndim in (4, 5) else []
    for tensor in (one for one in named if isinstance(one, Tensor)):
        for shown in (tensor, tensor.flatten(1, 2) if tensor.ndim == 5 and like.ndim == 4 else None):
            if shown is not None and _fits(shown, like, any_size):
                return shown.contiguous()
    return None


def _fits(tensor: Tensor, like: Tensor, any_size: bool) -> bool:
    kept = slice(1, -2 if like.ndim in (4, 5) and any_size else None)
    return tensor.dtype == like.dtype and tensor.ndim == like.ndim and tensor.shape[kept] == like.shape[kept]
