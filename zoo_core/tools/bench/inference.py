"""Benchmark of a model's forward pass and of its ``predict`` method."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from zoo_core.config.arguments import as_words, split_arguments
from zoo_core.config.recipe import typed_settings
from zoo_core.data.forward_inputs import Size, declared
from zoo_core.engine.devices import find_device
from zoo_core.engine.memory import memory_now, peak_memory
from zoo_core.engine.precision import computing_in
from zoo_core.errors import BadSetting, UnknownName, did_you_mean
from zoo_core.model import Model
from zoo_core.registry.catalog import Catalog
from zoo_core.registry.resolve import build
from zoo_core.registry.unknown_name import explained
from zoo_core.tools.bench.machine import matrix_products, synchronize
from zoo_core.tools.bench.measurement import Bench, Measurement
from zoo_core.weights.load import load

_WARMUP_FRACTION = 0.2  # of the given seconds
_MIN_CALLS = 3


def bench_inference(
    name: str,
    overrides: Iterable[str],
    catalog: Catalog,
    seconds: float,
    *,
    batch_size: int | None = None,
    size: Size | None = None,
    device_name: str = "auto",
    dtype: str = "float32",
) -> Bench:
    """Time the forward pass of the model ``name`` on random input for about ``seconds``, then ``predict`` for as long.

    ``predict`` is timed with the model's ``example()`` and skipped if there is none. ``name`` is a recipe or a
    registered model, which then gets random weights, since speed does not depend on them; or a weights file, a run
    folder or the name of published weights. ``overrides`` change the settings of the recipe or of the model.

    Raises:
        ZooError: if the name is unknown, or the model does not accept ``size``.
    """
    device = find_device(device_name, "device")
    before, peak = memory_now(device), matrix_products(device, dtype)
    model_name, model = _find_model(name, list(overrides), catalog)
    example = declared(model)
    if size is not None and example.size is None:
        raise BadSetting(f"{type(model).__name__} takes no images, so --size does not apply.", "Leave it out.")
    model = model.eval().to(device, getattr(torch, dtype))
    inputs = {key: _to_device(value, device, dtype) for key, value in example.sample(batch_size, size).items()}
    count = batch_size or example.count
    calls: list[tuple[str, int, Callable[[], Any]]] = [("forward", count, lambda: model(**inputs))]
    if predict_inputs := model.example():
        calls.append(("predict", 0, lambda: model.predict(**predict_inputs)))
    timed = []
    for what, examples, call in calls:
        with torch.inference_mode(), computing_in(dtype, device):
            operations = _count_operations(call)
            times = _time_calls(call, seconds, device)
        timed.append((what, times, examples, operations))
    memory, peak = peak_memory(device), max(peak, matrix_products(device, dtype))
    measurements = [Measurement(*one, peak) for one in timed]
    return Bench.of_model(name, model_name, model, device, dtype, before, memory, measurements)


def _find_model(name: str, overrides: list[str], catalog: Catalog) -> tuple[str, Model]:
    """The name that the model is registered by, and an instance of it."""
    if Path(name).exists() or name.endswith(".safetensors"):
        return _load_model(Path(name), overrides, catalog)
    if name in catalog.recipes:
        recipe = catalog.recipe(name, *overrides)
        model_name = recipe.component("model")
        return model_name, build("model", model_name, typed_settings(recipe, "model"), catalog)
    if any(entry.kind == "model" for entry in catalog.kinds_of(name)):
        return name, build("model", name, as_words(split_arguments(overrides)), catalog)
    if name in catalog.weights:
        return _load_model(name, overrides, catalog)
    known = [row["name"] for kind in ("recipes", "models", "weights") for row in catalog.rows(kind)]
    unknown = UnknownName(
        f"there is no recipe, model, weights, file or run '{name}'.", did_you_mean(name, known, "See `zoo list`.")
    )
    raise explained(unknown, name, catalog.plugins)


def _load_model(source: str | Path, overrides: list[str], catalog: Catalog) -> tuple[str, Model]:
    if overrides:
        raise BadSetting(f"the settings of {source} are fixed, so {overrides[0]} does not apply.", "Leave it out.")
    model, _ = load(source, catalog)
    return type(model).__name__, model


def _to_device(value: torch.Tensor, device: torch.device, dtype: str) -> torch.Tensor:
    return value.to(device, getattr(torch, dtype) if value.is_floating_point() else value.dtype)


def _count_operations(call: Callable[[], Any]) -> int:
    with FlopCounterMode(display=False) as counter:
        call()
    return int(counter.get_total_flops())


def _time_calls(call: Callable[[], Any], seconds: float, device: torch.device) -> list[float]:
    """Seconds of each call after a warm-up, during which caches fill and clock rates rise."""
    times: list[float] = []
    start = time.perf_counter()
    while len(times) < _MIN_CALLS or time.perf_counter() - start < seconds:
        synchronize(device)
        call_start = time.perf_counter()
        call()
        synchronize(device)
        call_end = time.perf_counter()
        if call_end - start > _WARMUP_FRACTION * seconds:
            times.append(call_end - call_start)
    return times
