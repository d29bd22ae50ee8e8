"""Write a program as an ONNX file, and run the file with onnxruntime."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import onnx
import onnxruntime
import torch
from torch import Tensor

from zoo_core.data.forward_inputs import Inputs
from zoo_core.errors import BadFile, ZooError, one_line
from zoo_core.tools.export.program import Traced, axes

_MAX_BYTES = 2**31 - 2**24  # of weights: a protobuf message is limited to 2 GiB


def write(traced: Traced, outputs: Sequence[str], metadata: Mapping[str, str], path: Path) -> None:
    """Write the program as a single ONNX file with ``metadata``.

    Raises:
        ZooError: if ONNX has no operator for a part of the network, or the weights are too large for one file.
    """
    size = sum(tensor.nbytes for tensor in traced.program.state_dict.values())
    if size > _MAX_BYTES:
        raise ZooError(
            f"the weights have {size:,} bytes, but an ONNX file can have at most {_MAX_BYTES:,}.",
            "Choose --format torch-export.",
        )
    try:
        converted = torch.onnx.export(traced.program, dynamo=True, verbose=False, output_names=outputs)
        if converted is None:
            raise RuntimeError("torch.onnx.export returned no program")
        model = converted.model_proto
    except Exception as error:  # the converter has its own exceptions for each of its stages
        reason = one_line(str(error).splitlines()[0] if str(error) else type(error).__name__, 300)
        raise ZooError(f"the network can't be converted to ONNX: {reason}", "Choose --format torch-export.") from error
    for node in model.graph.node:
        del node.metadata_props[:]  # stack traces, which contain paths of this machine
    _name_axes(model, traced)
    onnx.helper.set_model_props(model, dict(metadata))
    onnx.checker.check_model(model)
    try:
        onnx.save_model(model, str(path))
    except OSError as error:
        raise BadFile(f"{path} could not be written: {error.strerror}.") from error


def run(path: Path) -> Callable[[Inputs], list[Tensor]]:
    """The file as a function of its inputs, run by onnxruntime on the CPU."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    input_names = {one.name for one in session.get_inputs()}

    def call(inputs: Inputs) -> list[Tensor]:
        arrays = {name: tensor.numpy() for name, tensor in inputs.items() if name in input_names}
        return [torch.from_numpy(one) for one in session.run(None, arrays)]

    return call


def _name_axes(model: onnx.ModelProto, traced: Traced) -> None:
    """Name the dynamic axes ``batch``, ``height`` and ``width`` instead of s40, s6 and s73 as the exporter does."""
    axis_names = axes(traced.example, "batch" in traced.dynamic, "height" in traced.dynamic)
    names: dict[str, str] = {}
    for one in model.graph.input:
        for number, name in axis_names.get(one.name, {}).items():
            names.setdefault(one.type.tensor_type.shape.dim[number].dim_param, name)
    for one in [*model.graph.input, *model.graph.output, *model.graph.value_info]:
        for dim in one.type.tensor_type.shape.dim:
            if dim.dim_param:
                dim.dim_param = re.sub(r"\w+", lambda match: names.get(match[0], match[0]), dim.dim_param)
