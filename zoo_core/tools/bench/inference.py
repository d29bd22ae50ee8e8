"""A model's forward pass, and its predictions as a user asks for them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from zoo_core.config.overrides import parse_arguments
from zoo_core.data.forward_inputs import Size, declared
from zoo_core.engine.devices import find_device
from zoo_core.engine.memory import memory_now, peak_memory
from zoo_core.errors import BadSetting, UnknownName, did_you_mean
from zoo_core.model import Model
from zoo_core.registry.catalog import Catalog
from zoo_core.registry.resolve import build
from zoo_core.tools.bench.machine import matrix_products, synchronize
from zoo_core.tools.bench.measurement import Bench, Measured
from zoo_core.weights.load import load

_WARM_SHARE = 0.2  # of the seconds
_FEWEST = 3


def bench_predicting(
    name: str,
    words: Iterable[str],
    catalog: Catalog,
    seconds: float,
    *,
    batch_size: int | None = None,
    size: Size | None = None,
    device_name: str = "auto",
    dtype: str = "float32",
) -> Bench:
    """Time the model that ``name`` stands for: its forward pass on random input for about so many ``seconds``, and, in
    as much time, ``predict`` with the model's own example where it has one.

    ``name`` is a recipe or a registered model, whose weights are then random, since a speed does not depend on them; or
    a weights file, a run's folder or a published name. ``words`` change a recipe's settings, or a model's.

    Raises:
        ZooError: if there is no such thing, or the model does not take ``size``.
    """
    device = find_device(device_name, "device")
    before, peak = memory_now(device), matrix_products(device, dtype)
    kind, model = _model(name, list(words), catalog)
    example = declared(model)
    if size is not None and example.size is None:
        raise BadSetting(f"{type(model).__name__} takes no pictures, so --size cannot be given.", "Leave it out.")
    model = model.eval().to(device, getattr(torch, dtype))
    inputs = {key: _on(value, device, dtype) for key, value in example.sample(batch_size, size).items()}
    count = batch_size or example.count
    calls: list[tuple[str, int, Callable[[], Any]]] = [("forward", count, lambda: model(**inputs))]
    if given := model.example():
        calls.append(("predict", 0, lambda: model.predict(**given)))
    found = []
    for what, examples, call in calls:
        with torch.inference_mode():
            operations = _operations(call)
            times = _time(call, seconds, device)
        found.append((what, times, examples, operations))
    most, peak = peak_memory(device), max(peak, matrix_products(device, dtype))
    return Bench.of(name, kind, model, device, dtype, before, most, [Measured(*one, peak) for one in found])


def _model(name: str, words: list[str], catalog: Catalog) -> tuple[str, Model]:
    """What the model is registered as, and one."""
    if Path(name).exists() or name.endswith(".safetensors"):
        return _loaded(Path(name), words, catalog)
    if name in catalog.recipes:
        recipe = catalog.recipe(name, *words)
        kind = recipe.component("model")
        return kind, build("model", kind, recipe.settings("model"), catalog)
    if any(entry.kind == "model" for entry in catalog.kinds_of(name)):
        return name, build("model", name, parse_arguments(words), catalog)
    if name in catalog.weights:
        return _loaded(name, words, catalog)
    known = [row["name"] for kind in ("recipes", "models", "weights") for row in catalog.rows(kind)]
    raise UnknownName(
        f"'{name}' is no recipe, model, weights, file or run.", did_you_mean(name, known, "`zoo list` shows them.")
    )


def _loaded(source: str | Path, words: list[str], catalog: Catalog) -> tuple[str, Model]:
    if words:
        raise BadSetting(f"{source} has its settings, so {words[0]} cannot be given.", "Leave it out.")
    model, _ = load(source, catalog)
    return type(model).__name__, model


def _on(value: torch.Tensor, device: torch.device, dtype: str) -> torch.Tensor:
    return value.to(device, getattr(torch, dtype) if value.is_floating_point() else value.dtype)


def _operations(call: Callable[[], Any]) -> int:
    with FlopCounterMode(display=False) as counter:
        call()
    return int(counter.get_total_flops())


def _time(call: Callable[[], Any], seconds: float, device: torch.device) -> list[float]:
    """Seconds of each call, once those have been left out in which caches fill and clocks rise."""
    times: list[float] = []
    began = time.perf_counter()
    while len(times) < _FEWEST or time.perf_counter() - began < seconds:
        synchronize(device)
        started = time.perf_counter()
        call()
        synchronize(device)
        ended = time.perf_counter()
        if ended - began > _WARM_SHARE * seconds:
            times.append(ended - started)
    return times
