"""Trace a model's forward with torch.export, with as many dynamic dimensions as possible."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass
from io import StringIO
from typing import Any

import torch
from torch.export import Dim, ExportedProgram
from torch.export.graph_signature import InputKind
from torch.fx.experimental import _config

from zoo_core.data.forward_inputs import Example, Inputs, Size
from zoo_core.errors import ZooError, one_line
from zoo_core.model import Model


@dataclass(frozen=True)
class Shape:
    """Another number of examples, or another height and width, that the model accepts."""

    count: int | None = None
    size: Size | None = None


@dataclass(frozen=True)
class Traced:
    """A traced program, with its dynamic and fixed dimensions."""

    program: ExportedProgram
    example: Example
    dynamic: tuple[str, ...]
    """The dynamic dimensions: ``batch``, ``height``, ``width``."""
    fixed: dict[str, str]
    """Why ``batch`` or ``size`` is fixed."""
    shapes: list[Shape]
    """Shapes other than the example's that the program accepts, some for each dynamic dimension."""


def trace(model: Model, example: Example) -> Traced:
    """Trace ``model`` with ``example``: for any number of examples and any size, if the model accepts them.

    A dimension that can't be dynamic is fixed, and the reason is recorded in ``fixed``.

    Raises:
        ZooError: if the model can't be traced even for the shape of the example.
    """
    counts = [shape for shape in _counts(example) if _runs(model, example.sample(shape.count, shape.size))]
    sizes = [shape for shape in _sizes(example) if _runs(model, example.sample(shape.count, shape.size))]
    fixed = {}
    if not counts:
        fixed["batch"] = (
            "the model accepts only this number of examples" if example.count else "the inputs have no batch"
        )
    if example.size and not sizes:
        fixed["size"] = f"the model accepts only the size {example.size[0]} x {example.size[1]}"
    reason = ""
    for batch, size in _attempts(bool(counts), bool(sizes)):
        shapes = [*(counts if batch else []), *(sizes if size else [])]
        program, reason = _try_export(model, example, shapes)
        if program is not None:
            return Traced(program, example, _dynamic(batch, size), fixed, shapes)
        fixed["size" if size else "batch"] = f"it can't be dynamic: {reason}"
    raise ZooError(
        f"{type(model).__name__} can't be exported: {reason}",
        "torch.export traces forward without the values of its tensors: see docs/export.md.",
    )


def run(program: ExportedProgram) -> Callable[[Inputs], Any]:
    """The program as a function of its inputs."""
    module = program.module()
    return lambda inputs: module(**inputs)


def _counts(example: Example) -> list[Shape]:
    return [Shape(count=1), Shape(count=3)] if example.count else []


def _sizes(example: Example) -> list[Shape]:
    """Even and odd, larger and smaller sizes."""
    if example.size is None:
        return []
    height, width = example.size
    others = [(2 * height, width), (height, width + width // 2), (height + 5, width + 6), (height - 15, width - 10)]
    return [Shape(size=size) for size in others if min(size) > 0]


def _attempts(batch: bool, size: bool) -> Iterator[tuple[bool, bool]]:
    if size:
        yield batch, True
    if batch:
        yield True, False
    yield False, False


def _dynamic(batch: bool, size: bool) -> tuple[str, ...]:
    return (*(("batch",) if batch else ()), *(("height", "width") if size else ()))


def _try_export(model: Model, example: Example, shapes: list[Shape]) -> tuple[ExportedProgram | None, str]:
    """The program that accepts all ``shapes``, or the reason why there is none."""
    try:
        program = _export(model, example, shapes)
        call = run(program)
        with torch.no_grad():
            for shape in shapes:
                call(example.sample(shape.count, shape.size))
    except Exception as error:  # exceptions of the exporter, and of the plugin's forward while it is traced
        lines = [line.strip(" -") for line in str(error).splitlines() if line.strip()] or ["no reason given"]
        return None, f"{type(error).__name__}: {one_line(' '.join(lines[:2]), 300)}"
    return program, ""


def _export(model: Model, example: Example, shapes: list[Shape]) -> ExportedProgram:
    dynamic = axes(example, any(shape.count for shape in shapes), any(shape.size for shape in shapes))
    dynamic_shapes: Any = {name: dict.fromkeys(found, Dim.DYNAMIC) for name, found in dynamic.items()}
    # Sizes of 0 and 1 are not specialized, as in torch.onnx: otherwise a network that halves an image down to one pixel
    # would need two programs. Conditions on sizes are checked at run time instead.
    with _quiet(), _config.patch(backed_size_oblivious=True):  # type: ignore[attr-defined]  # added to the module at import
        program = torch.export.export(
            model,
            (),
            dict(example.tensors),
            dynamic_shapes=dynamic_shapes,
            prefer_deferred_runtime_asserts_over_guards=True,
        )
    _remove_unused_weights(program)
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)  # contains paths of this machine
    return program


@contextmanager
def _quiet() -> Iterator[None]:
    """A context in which the exporter does not print the graphs that it can't trace: its error becomes one line."""
    logger = logging.getLogger("torch.fx.experimental.symbolic_shapes")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with redirect_stderr(StringIO()):
            yield
    finally:
        logger.setLevel(level)


def axes(example: Example, batch: bool, size: bool) -> dict[str, dict[int, str]]:
    """The dynamic dimensions of each input, with their names."""
    found: dict[str, dict[int, str]] = {}
    for name, tensor in example.tensors.items():
        found[name] = {0: "batch"} if batch else {}
        if size and example.is_image(name):
            found[name] |= {tensor.ndim - 2: "height", tensor.ndim - 1: "width"}
    return found


def _remove_unused_weights(program: ExportedProgram) -> None:
    """Remove parameters and buffers that forward does not use, such as those of a discriminator."""
    specs = program.graph_signature.input_specs
    nodes = {node.name: node for node in program.graph.nodes if node.op == "placeholder"}
    for spec in list(specs):
        node = nodes[spec.arg.name]
        if spec.kind in (InputKind.PARAMETER, InputKind.BUFFER) and spec.target is not None and not node.users:
            program.graph.erase_node(node)
            specs.remove(spec)
            program.state_dict.pop(spec.target, None)
            program.constants.pop(spec.target, None)
    program.graph_module.recompile()


def _runs(model: Model, inputs: Inputs) -> bool:
    try:
        with torch.no_grad():
            model(**inputs)
    except Exception:  # the plugin's forward may raise anything for inputs that it does not accept
        return False
    return True
