"""What is promised of a model."""

from __future__ import annotations

import re
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor

from zoo_core.config.settings import describe
from zoo_core.model import Model
from zoo_core.registry.resolve import build
from zoo_core.testing.check import Skip, Subject, check, require, settings_of
from zoo_core.weights.format import write
from zoo_core.weights.load import load

_SHAPE = re.compile(r"\(([^)]*)\)( in \[([-\d.]+), ([-\d.]+)\])?")


@check(
    "model",
    "`zoo info` and error messages can say what every setting means.",
    'Write each field as `name: type = zoo.setting(default, "what it means")`.',
)
def every_setting_is_documented(subject: Subject) -> None:
    loaded = subject.catalog.find("model", subject.name).load()
    for info in describe(loaded.Config):
        require(len(info.help.strip()) >= 4, f"Config.{info.name} says nothing of what it means")


@check(
    "model",
    "It can be had with nothing but its settings.",
    "Let __init__ take the config alone, and every setting have a default that works.",
)
def builds_on_the_cpu(subject: Subject) -> None:
    model = _build(subject)
    require(isinstance(model, Model), f"it is a {type(model).__name__}")
    for name, tensor in model.state_dict().items():
        require(tensor.device.type == "cpu", f"'{name}' lies on {tensor.device}")
        require(
            not tensor.is_floating_point() or bool(tensor.isfinite().all()), f"'{name}' begins with NaN or infinity"
        )


@check(
    "model",
    "Weights load without memory being filled twice, and parameters are counted without any.",
    "In __init__, read no values of tensors (item(), numpy(), if tensor: …); make tensors by torch's own functions.",
)
def builds_on_the_meta_device(subject: Subject) -> None:
    real = _build(subject)
    with torch.device("meta"):
        empty = type(real)(real.config)
    shapes = {name: tuple(tensor.shape) for name, tensor in real.state_dict().items()}
    seen = {name: tuple(tensor.shape) for name, tensor in empty.state_dict().items()}
    require(seen == shapes, f"it has other tensors there: {sorted(set(seen.items()) ^ set(shapes.items()))[:3]}")
    filled = [name for name, tensor in empty.state_dict().items() if not tensor.is_meta]
    require(not filled, f"'{filled[0] if filled else ''}' is made on a device of its own")


@check(
    "model",
    "What was trained is what is loaded, to the last bit.",
    "Keep all that the model needs in parameters and buffers, and build it from its settings alone.",
)
def weights_round_trip(subject: Subject) -> None:
    torch.manual_seed(0)
    model = _build(subject)
    with TemporaryDirectory() as folder:
        path = Path(folder, "weights.safetensors")
        write(path, model.state_dict(), {"model": subject.name, "config": _plain(model.config)})
        loaded, _ = load(path, subject.catalog)
        require(not loaded.training, "it is loaded in training mode")
        require(loaded.config == model.config, f"its settings come back as {loaded.config}")
        for name, tensor in model.state_dict().items():
            require(torch.equal(loaded.state_dict()[name], tensor), f"'{name}' comes back with other values")


@check(
    "model",
    "Who calls predict gets what the model says it gives, every time.",
    "Let `example()` give inputs, `outputs` the shapes, and draw whatever is random from a seed among the inputs.",
)
def predict_keeps_its_shapes(subject: Subject) -> None:
    model = _build(subject).eval()
    inputs = model.example()
    if not inputs:
        raise Skip("it gives no example() to predict from")
    first, second = model.predict(**inputs), model.predict(**inputs)
    require(isinstance(first, dict), f"predict gives a {type(first).__name__}, but should give a mapping")
    require(first.keys() == second.keys(), "it gives other things the second time")
    require(not model.training, "predict leaves it in training mode")
    for name, declared in model.outputs.items():
        require(name in first, f"it declares '{name}', but gives {', '.join(first)}")
        _compare(name, declared, first[name])
    for name, value in first.items():
        require(_same(value, second[name]), f"'{name}' differs between two calls with the same inputs")


def _build(subject: Subject) -> Model:
    model: Model = build("model", subject.name, settings_of(subject), subject.catalog)
    return model


def _compare(name: str, declared: str, value: Any) -> None:
    """A shape such as ``"(N, 1, 28, 28) in [0, 1]"``: letters stand for any length."""
    found = _SHAPE.match(declared)
    if not found or not isinstance(value, Tensor):
        return
    lengths = [part.strip() for part in found[1].split(",") if part.strip()]
    fits = len(lengths) == value.ndim and all(
        not wanted.isdigit() or int(wanted) == have for wanted, have in zip(lengths, value.shape, strict=False)
    )
    require(fits, f"'{name}' has shape {tuple(value.shape)}, but {declared} is declared")
    if found[2]:
        least, most = float(value.min()), float(value.max())
        inside = float(found[3]) <= least and most <= float(found[4])
        require(inside, f"'{name}' goes from {least:.3g} to {most:.3g}, but {declared} is declared")


def _same(one: Any, other: Any) -> bool:
    return torch.equal(one, other) if isinstance(one, Tensor) else bool(one == other)


def _plain(config: Any) -> dict[str, Any]:
    from dataclasses import asdict

    return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(config).items()}
