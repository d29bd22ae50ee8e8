"""The checks of a model."""

from __future__ import annotations

import re
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from torch import Tensor

from zoo_core.config.settings import describe
from zoo_core.errors import describe_type
from zoo_core.model import Model
from zoo_core.registry.resolve import build
from zoo_core.testing.check import Skip, Subject, check, require
from zoo_core.testing.component_settings import settings_of
from zoo_core.weights.format import write
from zoo_core.weights.load import load
from zoo_core.weights.values import all_finite, same_bits

_SHAPE = re.compile(r"\(([^)]*)\)( in \[([-\d.]+), ([-\d.]+)\])?")


@check(
    "model",
    "Every setting is documented, so that `zoo info` and error messages can show its meaning.",
    'Declare each field as `name: type = zoo.setting(default, "what it means")`.',
)
def every_setting_is_documented(subject: Subject) -> None:
    loaded = subject.catalog.find("model", subject.name).load()
    for info in describe(loaded.Config):
        require(len(info.help.strip()) >= 4, f"Config.{info.name} has no description")


@check(
    "model",
    "The model can be built on the CPU with its default settings.",
    "Let __init__ take only the config, and give every setting a default that works.",
)
def builds_on_the_cpu(subject: Subject) -> None:
    model = _build(subject)
    require(isinstance(model, Model), f"it is {describe_type(model)}")
    for name, tensor in model.state_dict().items():
        require(tensor.device.type == "cpu", f"'{name}' is on {tensor.device}")
    for name, parameter in model.named_parameters():
        require(bool(all_finite(parameter)), f"'{name}' has NaN or infinite initial values")


@check(
    "model",
    "The model can be built on the meta device, so that loading weights does not allocate memory twice.",
    "In __init__, do not read the values of tensors (item(), numpy(), if tensor: …), and create them with torch.",
)
def builds_on_the_meta_device(subject: Subject) -> None:
    real = _build(subject)
    with torch.device("meta"):
        empty = type(real)(real.config)
    shapes = {name: tuple(tensor.shape) for name, tensor in real.state_dict().items()}
    seen = {name: tuple(tensor.shape) for name, tensor in empty.state_dict().items()}
    different = sorted(set(seen.items()) ^ set(shapes.items()))[:3]
    require(seen == shapes, f"it has different tensors on the meta device: {different}")
    allocated = [name for name, tensor in empty.state_dict().items() if not tensor.is_meta]
    require(not allocated, f"'{allocated[0] if allocated else ''}' is not created on the default device")


@check(
    "model",
    "Saved weights load bit for bit equal, with the same settings.",
    "Keep all state of the model in parameters and buffers, and build it from its settings alone.",
)
def weights_round_trip(subject: Subject) -> None:
    torch.manual_seed(0)
    model = _build(subject)
    with TemporaryDirectory() as folder:
        path = Path(folder, "weights.safetensors")
        write(path, model.state_dict(), {"model": subject.name, "config": _as_dict(model.config)})
        loaded, _ = load(path, subject.catalog)
        require(not loaded.training, "it is loaded in training mode")
        require(loaded.config == model.config, f"the loaded settings are {loaded.config}")
        for name, tensor in model.state_dict().items():
            require(same_bits(loaded.state_dict()[name], tensor), f"'{name}' has other values after loading")


@check(
    "model",
    "`predict` is deterministic, and returns the outputs with the declared shapes.",
    "Return inputs from `example()`, declare shapes in `outputs`, and make a random `predict` take a seed.",
)
def predict_matches_declared_outputs(subject: Subject) -> None:
    model = _build(subject).eval()
    inputs = model.example()
    if not inputs:
        raise Skip("it has no example() to predict from")
    first, second = model.predict(**inputs), model.predict(**inputs)
    require(isinstance(first, dict), f"predict returns {describe_type(first)}, but should return a mapping")
    require(first.keys() == second.keys(), "predict returns other keys the second time")
    require(not model.training, "predict leaves it in training mode")
    for name, declared in model.outputs.items():
        require(name in first, f"outputs declares '{name}', but predict returns {', '.join(first)}")
        _check_declared(name, declared, first[name])
    for name, value in first.items():
        require(_equal(value, second[name]), f"'{name}' differs between two calls with the same inputs")


def _build(subject: Subject) -> Model:
    model: Model = build("model", subject.name, settings_of(subject), subject.catalog)
    return model


def _check_declared(name: str, declared: str, value: Any) -> None:
    """Compare a tensor with a declaration such as ``"(N, 1, 28, 28) in [0, 1]"``; letters stand for any length."""
    found = _SHAPE.match(declared)
    if not found or not isinstance(value, Tensor):
        return
    lengths = [part.strip() for part in found[1].split(",") if part.strip()]
    fits = len(lengths) == value.ndim and all(
        not length.isdigit() or int(length) == actual for length, actual in zip(lengths, value.shape, strict=False)
    )
    require(fits, f"'{name}' has shape {tuple(value.shape)}, but {declared} is declared")
    if found[2]:
        low, high = float(value.min()), float(value.max())
        inside = float(found[3]) <= low and high <= float(found[4])
        require(inside, f"'{name}' is in [{low:.3g}, {high:.3g}], but {declared} is declared")


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, np.ndarray):
        return np.array_equal(one, other)
    return torch.equal(one, other) if isinstance(one, Tensor) else bool(one == other)


def _as_dict(config: Any) -> dict[str, Any]:
    from dataclasses import asdict

    return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(config).items()}
