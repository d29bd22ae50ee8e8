"""A model's forward as a program: followed once by torch.export, for as many shapes as it can be."""

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
    """Another number of examples, or another height and width, that the model itself takes."""

    count: int | None = None
    size: Size | None = None


@dataclass(frozen=True)
class Traced:
    """The program, what may change in its inputs, and why the rest may not."""

    program: ExportedProgram
    example: Example
    dynamic: tuple[str, ...]
    fixed: dict[str, str]
    shapes: list[Shape]
    """Shapes beside the example's that it takes: of each kind that may change."""


def trace(model: Model, example: Example) -> Traced:
    """Follow ``model`` with ``example``: with any number of examples and any size, if the model takes them.

    What can't be left open is closed and named with the reason, never silently.

    Raises:
        ZooError: if it can't be followed even for the example's own shape.
    """
    counts = [shape for shape in _counts(example) if _runs(model, example.sample(shape.count, shape.size))]
    sizes = [shape for shape in _sizes(example) if _runs(model, example.sample(shape.count, shape.size))]
    fixed = {}
    if not counts:
        fixed["batch"] = "the model takes no other number of examples" if example.count else "its inputs have no batch"
    if example.size and not sizes:
        fixed["size"] = f"the model takes {example.size[0]} x {example.size[1]} and no other size"
    reason = ""
    for batch, size in _attempts(bool(counts), bool(sizes)):
        shapes = [*(counts if batch else []), *(sizes if size else [])]
        program, reason = _try(model, example, shapes)
        if program is not None:
            return Traced(program, example, _dynamic(batch, size), fixed, shapes)
        fixed["size" if size else "batch"] = f"it can't be left open: {reason}"
    raise ZooError(
        f"{type(model).__name__} can't be exported: {reason}",
        "torch.export has to follow its forward without the values of its tensors: see docs/export.md.",
    )


def run(program: ExportedProgram) -> Callable[[Inputs], Any]:
    """The program as a function of its inputs."""
    module = program.module()
    return lambda inputs: module(**inputs)


def _counts(example: Example) -> list[Shape]:
    return [Shape(count=1), Shape(count=3)] if example.count else []


def _sizes(example: Example) -> list[Shape]:
    """Even and odd ones, larger and smaller."""
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


def _try(model: Model, example: Example, shapes: list[Shape]) -> tuple[ExportedProgram | None, str]:
    """The program for all ``shapes``, or why there is none."""
    try:
        program = _export(model, example, shapes)
        call = run(program)
        with torch.no_grad():
            for shape in shapes:
                call(example.sample(shape.count, shape.size))
    except Exception as error:  # the exporter's own kinds, and whatever a plugin's forward raises as it is followed
        lines = [line.strip(" -") for line in str(error).splitlines() if line.strip()] or ["it gave no reason"]
        return None, f"{type(error).__name__}: {one_line(' '.join(lines[:2]), 300)}"
    return program, ""


def _export(model: Model, example: Example, shapes: list[Shape]) -> ExportedProgram:
    dynamic = axes(example, any(shape.count for shape in shapes), any(shape.size for shape in shapes))
    open_axes: Any = {name: dict.fromkeys(found, Dim.DYNAMIC) for name, found in dynamic.items()}
    # Sizes of 0 and 1 are taken for any other, as torch.onnx does: else a network that halves a picture until one
    # pixel is left would be two programs. What the program then asks of sizes is asked as it runs.
    with _quiet(), _config.patch(backed_size_oblivious=True):  # type: ignore[attr-defined]  # the module gets it as it is loaded
        program = torch.export.export(
            model,
            (),
            dict(example.tensors),
            dynamic_shapes=open_axes,
            prefer_deferred_runtime_asserts_over_guards=True,
        )
    _leave_out_unused(program)
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)  # names folders of this machine, which a file for others should not tell
    return program


@contextmanager
def _quiet() -> Iterator[None]:
    """Inside, the exporter prints no graphs of what it can't follow: its error is told in one line."""
    logger = logging.getLogger("torch.fx.experimental.symbolic_shapes")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with redirect_stderr(StringIO()):
            yield
    finally:
        logger.setLevel(level)


def axes(example: Example, batch: bool, size: bool) -> dict[str, dict[int, str]]:
    """By the name of each input, the dimensions that may change, and what they are called."""
    found: dict[str, dict[int, str]] = {}
    for name, tensor in example.tensors.items():
        found[name] = {0: "batch"} if batch else {}
        if size and example.is_image(name):
            found[name] |= {tensor.ndim - 2: "height", tensor.ndim - 1: "width"}
    return found


def _leave_out_unused(program: ExportedProgram) -> None:
    """Parameters and buffers that forward does not use, such as a discriminator's, are not part of the program."""
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
    except Exception:  # whatever a plugin's forward raises: then it does not take them
        return False
    return True
