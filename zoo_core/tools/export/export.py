"""Export weights to a file for other programs, and check that it computes what the model computes."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor

from zoo_core.data.forward_inputs import Inputs, declared
from zoo_core.errors import ZooError, one_line
from zoo_core.files import move_synced
from zoo_core.model import Model
from zoo_core.registry.catalog import Catalog
from zoo_core.tools.export import program_file
from zoo_core.tools.export.compare import largest_difference, largest_magnitude, names_of, tensors_of
from zoo_core.tools.export.program import Traced, axes, trace
from zoo_core.tools.export.program import run as run_program
from zoo_core.tools.export.real_inputs import real_inputs
from zoo_core.tools.export.requirements import check_free
from zoo_core.weights.hashing import check
from zoo_core.weights.header import Header, read_header
from zoo_core.weights.load import load, locate


class ExportDiffers(ZooError):
    """The exported file does not compute what the model computes; no file is written."""

    exit_code = 1


@dataclass(frozen=True)
class Check:
    """A comparison with the model for one input."""

    input: str
    differences: dict[str, float]
    """The largest difference from the output of the model, by runner."""
    scale: float
    """The factor of the tolerance: the largest magnitude in the output of the model, at least 1."""


@dataclass(frozen=True)
class Exported:
    """The file that was written, and how it was checked."""

    file: Path
    header: Header
    facts: dict[str, Any]
    """The metadata that the export adds to those of the weights."""
    checks: list[Check]
    skipped_real_input: str
    """Why no real input was tried; "" if one was."""

    @property
    def largest(self) -> float:
        return max(difference for one in self.checks for difference in one.differences.values())


def export(source: str | Path, catalog: Catalog, format: str, output: Path, tolerance: float) -> Exported:
    """Export the forward of the model with the weights ``source`` to ``output``, which is written only if it matches.

    Raises:
        ExportDiffers: if an output differs by more than ``tolerance``, times the largest magnitude of the model's
            output if that is above 1.
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
    real, description = real_inputs(header, traced, catalog)
    if real is not None:
        inputs.append((f"real: {description}, {_shapes(real)}", real))
    runners: dict[str, Callable[[Inputs], Any]] = {"exported program": run_program(traced.program)}
    # In a temporary folder, but under the final name, which a .pt2 file contains.
    with TemporaryDirectory(prefix=f".{output.name}.", dir=output.parent) as folder:
        aside = Path(folder, output.name)
        _write(format, traced, names_of(first), _metadata(header, facts), aside)
        if format == "onnx":
            from zoo_core.tools.export import onnx_file

            runners["onnxruntime"] = onnx_file.run(aside)
        checks = [_check(model, runners, name, one) for name, one in inputs]
        _refuse_different(output, checks, tolerance)
        check_free(output)
        move_synced(aside, output)
    return Exported(output, header, facts, checks, "" if real is not None else description)


def _write(format: str, traced: Traced, outputs: Sequence[str], metadata: dict[str, str], path: Path) -> None:
    if format == "onnx":
        from zoo_core.tools.export import onnx_file

        onnx_file.write(traced, outputs, metadata, path)
    else:
        program_file.write(traced, metadata, path)


def _inputs(traced: Traced) -> Iterator[tuple[str, Inputs]]:
    """The example, random input of its shape, and random input of the other shapes that the program accepts."""
    example = traced.example
    yield f"the example, {_shapes(example.tensors)}", example.tensors
    drawn = [example.sample(seed=1)]
    drawn += [example.sample(shape.count, shape.size, number) for number, shape in enumerate(traced.shapes, 2)]
    for inputs in drawn:
        yield f"random, {_shapes(inputs)}", inputs


def _shapes(inputs: Inputs) -> str:
    return " and ".join("x".join(map(str, tensor.shape)) or "a scalar" for tensor in inputs.values())


def _check(model: Model, runners: dict[str, Callable[[Inputs], Any]], name: str, inputs: Inputs) -> Check:
    with torch.no_grad():
        expected = tensors_of(model(**inputs))
        differences = {}
        for runner, call in runners.items():
            try:
                actual = tensors_of(call(inputs))
            except Exception as error:  # each runner has its own exceptions
                reason = one_line(str(error) or type(error).__name__)
                raise ExportDiffers(
                    f"nothing is written: {runner} fails on an input that the model accepts ({name}): {reason}",
                    "Try the other --format; --traceback shows where it fails.",
                ) from error
            differences[runner] = largest_difference(expected, actual)
    return Check(name, differences, max(1.0, largest_magnitude(expected)))


def _refuse_different(output: Path, checks: list[Check], tolerance: float) -> None:
    for one in checks:
        for name, difference in one.differences.items():
            if not difference <= tolerance * one.scale:
                raise ExportDiffers(
                    f"{output} is not written: it differs from the model by {difference:.3g} ({name}), but at most "
                    f"{tolerance * one.scale:.3g} is allowed; input: {one.input}.",
                    f"To accept the difference: --tolerance {2 * difference / one.scale:.1g}"
                    if difference < math.inf
                    else "An output has another shape, or values that are not finite where the model's are.",
                )


def _facts(header: Header, format: str, traced: Traced, first: Any) -> dict[str, Any]:
    axis_names = axes(traced.example, "batch" in traced.dynamic, "height" in traced.dynamic)
    return {
        "source": header.path.name,
        "sha256": check(header.path).sha256,
        "license": header.metadata.get("license"),
        "format": format,
        "inputs": {name: _describe(tensor, axis_names[name]) for name, tensor in traced.example.tensors.items()},
        "outputs": {name: _describe(one, {}) for name, one in zip(names_of(first), tensors_of(first), strict=True)},
        "dynamic": list(traced.dynamic),
        "fixed": traced.fixed,
        "torch": torch.__version__,
    }


def _describe(tensor: Tensor, axis_names: dict[int, str]) -> str:
    """The dtype and shape of a tensor, such as ``float32 (batch, 1, 28, 28)``."""
    shape = ", ".join(axis_names.get(number, str(length)) for number, length in enumerate(tensor.shape))
    return f"{str(tensor.dtype).removeprefix('torch.')} ({shape})"


def _metadata(header: Header, facts: dict[str, Any]) -> dict[str, str]:
    """The metadata of the weights and those that the export adds, both as JSON."""
    return {"zoo": json.dumps(dict(header.metadata), sort_keys=True), "zoo_export": json.dumps(facts, sort_keys=True)}
