"""From weights to a file for other programs that gives what the model gives."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar

import torch
from torch import Tensor

from zoo_core.data.forward_inputs import Inputs, declared
from zoo_core.errors import ZooError, one_line
from zoo_core.files import move_synced
from zoo_core.model import Model
from zoo_core.registry.catalog import Catalog
from zoo_core.tools.export import program_file
from zoo_core.tools.export.compare import largest_difference, largest_number, names_of, tensors_of
from zoo_core.tools.export.program import Traced, axes, trace
from zoo_core.tools.export.program import run as run_program
from zoo_core.tools.export.real_inputs import real_inputs
from zoo_core.tools.export.requirements import check_free
from zoo_core.weights.hashing import check
from zoo_core.weights.header import Header, read_header
from zoo_core.weights.load import load, locate


class ExportDiffers(ZooError):
    """What was exported does not give what the model gives. No file is left."""

    exit_code: ClassVar[int] = 1


@dataclass(frozen=True)
class Check:
    """One input, and the largest difference of what each runner made of it from what the model gave."""

    input: str
    differences: dict[str, float]
    scale: float
    """The largest number that the model gave, but at least 1: what the tolerance is multiplied by."""


@dataclass(frozen=True)
class Exported:
    """What was written, and how it was checked."""

    file: Path
    header: Header
    facts: dict[str, Any]
    """What the file says of itself beside the weights' header."""
    checks: list[Check]
    unchecked: str
    """Why no real input was tried, or ""."""

    @property
    def largest(self) -> float:
        return max(difference for one in self.checks for difference in one.differences.values())


def export(source: str | Path, catalog: Catalog, format: str, output: Path, tolerance: float) -> Exported:
    """Write the forward of the model that ``source`` holds to ``output``, which appears only if it gives the same.

    Raises:
        ExportDiffers: if it differs by more than ``tolerance`` on any input, or than so much of the
            largest output where that is larger than 1.
        ZooError: if the model declares no inputs, or can't be exported.
    """
    check_free(output)
    header = read_header(locate(source, catalog))
    model, _ = load(header.path, catalog)
    model.requires_grad_(False)
    traced = trace(model, declared(model))
    with torch.no_grad():
        first = model(**traced.example.tensors)
    facts = _facts(header, format, traced, first)
    inputs = list(_inputs(traced))
    real, told = real_inputs(header, traced, catalog)
    if real is not None:
        inputs.append((f"real: {told}, {_shapes(real)}", real))
    runners: dict[str, Callable[[Inputs], Any]] = {"exported program": run_program(traced.program)}
    # Beside its place and under its own name, which a .pt2 file repeats inside.
    with TemporaryDirectory(prefix=f".{output.name}.", dir=output.parent) as folder:
        aside = Path(folder, output.name)
        _write(format, traced, names_of(first), _notes(header, facts), aside)
        if format == "onnx":
            from zoo_core.tools.export import onnx_file

            runners["onnxruntime"] = onnx_file.run(aside)
        checks = [_check(model, runners, name, one) for name, one in inputs]
        _refuse_different(output, checks, tolerance)
        check_free(output)
        move_synced(aside, output)
    return Exported(output, header, facts, checks, "" if real is not None else told)


def _write(format: str, traced: Traced, outputs: Sequence[str], notes: dict[str, str], path: Path) -> None:
    if format == "onnx":
        from zoo_core.tools.export import onnx_file

        onnx_file.write(traced, outputs, notes, path)
    else:
        program_file.write(traced, notes, path)


def _inputs(traced: Traced) -> Iterator[tuple[str, Inputs]]:
    """The example, random input of its shape, and of every other shape that was left open."""
    example = traced.example
    yield f"the example, {_shapes(example.tensors)}", example.tensors
    drawn = [example.sample(seed=1)]
    drawn += [example.sample(shape.count, shape.size, number) for number, shape in enumerate(traced.shapes, 2)]
    for inputs in drawn:
        yield f"random, {_shapes(inputs)}", inputs


def _shapes(inputs: Inputs) -> str:
    return " and ".join("x".join(map(str, tensor.shape)) or "one number" for tensor in inputs.values())


def _check(model: Model, runners: dict[str, Callable[[Inputs], Any]], name: str, inputs: Inputs) -> Check:
    with torch.no_grad():
        wanted = tensors_of(model(**inputs))
        found = {}
        for runner, call in runners.items():
            try:
                given = tensors_of(call(inputs))
            except Exception as error:  # each runner has kinds of its own
                reason = one_line(str(error) or type(error).__name__)
                raise ExportDiffers(
                    f"nothing is written: an input that the model takes is refused ({runner}; {name}): {reason}",
                    "Try the other --format; --traceback shows where.",
                ) from error
            found[runner] = largest_difference(wanted, given)
    return Check(name, found, max(1.0, largest_number(wanted)))


def _refuse_different(output: Path, checks: list[Check], tolerance: float) -> None:
    for one in checks:
        for name, difference in one.differences.items():
            if not difference <= tolerance * one.scale:
                raise ExportDiffers(
                    f"{output} is not written: it differs from the model by {difference:.3g} ({name}), but "
                    f"{tolerance * one.scale:.3g} is allowed; input: {one.input}.",
                    f"If that is near enough: --tolerance {2 * difference / one.scale:.1g}"
                    if difference < math.inf
                    else "It has another shape, or NaN or infinity where the model gives numbers.",
                )


def _facts(header: Header, format: str, traced: Traced, first: Any) -> dict[str, Any]:
    called = axes(traced.example, "batch" in traced.dynamic, "height" in traced.dynamic)
    return {
        "source": header.path.name,
        "sha256": check(header.path).sha256,
        "license": header.metadata.get("license"),
        "format": format,
        "inputs": {name: _kind(tensor, called[name]) for name, tensor in traced.example.tensors.items()},
        "outputs": {name: _kind(tensor, {}) for name, tensor in zip(names_of(first), tensors_of(first), strict=True)},
        "dynamic": list(traced.dynamic),
        "fixed": traced.fixed,
        "torch": torch.__version__,
    }


def _kind(tensor: Tensor, called: dict[int, str]) -> str:
    sides = ", ".join(called.get(number, str(side)) for number, side in enumerate(tensor.shape))
    return f"{str(tensor.dtype).removeprefix('torch.')} ({sides})"


def _notes(header: Header, facts: dict[str, Any]) -> dict[str, str]:
    """The weights' header as it is, and what the export adds, both as JSON."""
    return {"zoo": json.dumps(dict(header.metadata), sort_keys=True), "zoo_export": json.dumps(facts, sort_keys=True)}
