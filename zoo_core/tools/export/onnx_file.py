"""An ONNX file of a program, and the file run by onnxruntime."""

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

_MOST = 2**31 - 2**24  # bytes of weights: protobuf writes no message of 2 GiB


def write(traced: Traced, outputs: Sequence[str], notes: Mapping[str, str], path: Path) -> None:
    """Write the program as one ONNX file, with ``notes`` as its metadata.

    Raises:
        ZooError: if ONNX has no operator for something in the network, or a single file can't hold it.
    """
    held = sum(tensor.nbytes for tensor in traced.program.state_dict.values())
    if held > _MOST:
        raise ZooError(
            f"the weights have {held:,} bytes, but an ONNX file can hold {_MOST:,}.",
            "Choose --format torch-export.",
        )
    try:
        converted = torch.onnx.export(traced.program, dynamo=True, verbose=False, output_names=outputs)
        if converted is None:
            raise RuntimeError("torch.onnx gave no program")
        model = converted.model_proto
    except Exception as error:  # the converter's own kinds, one for each of its stages
        reason = one_line(str(error).splitlines()[0] if str(error) else type(error).__name__, 300)
        raise ZooError(f"the network can't be written as ONNX: {reason}", "Choose --format torch-export.") from error
    for node in model.graph.node:
        del node.metadata_props[:]  # how the exporter came to it: folders of this machine, mostly
    _name_axes(model, traced)
    onnx.helper.set_model_props(model, dict(notes))
    onnx.checker.check_model(model)
    try:
        onnx.save_model(model, str(path))
    except OSError as error:
        raise BadFile(f"{path} could not be written: {error.strerror}.") from error


def run(path: Path) -> Callable[[Inputs], list[Tensor]]:
    """The file as a function of its inputs, computed by onnxruntime on the CPU."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    taken = {one.name for one in session.get_inputs()}

    def call(inputs: Inputs) -> list[Tensor]:
        given = {name: tensor.numpy() for name, tensor in inputs.items() if name in taken}
        return [torch.from_numpy(one) for one in session.run(None, given)]

    return call


def _name_axes(model: onnx.ModelProto, traced: Traced) -> None:
    """Call what may change ``batch``, ``height`` and ``width``; the exporter calls it s40, s6 and s73."""
    called = axes(traced.example, "batch" in traced.dynamic, "height" in traced.dynamic)
    names: dict[str, str] = {}
    for one in model.graph.input:
        for number, name in called.get(one.name, {}).items():
            names.setdefault(one.type.tensor_type.shape.dim[number].dim_param, name)
    for one in [*model.graph.input, *model.graph.output, *model.graph.value_info]:
        for side in one.type.tensor_type.shape.dim:
            if side.dim_param:
                side.dim_param = re.sub(r"\w+", lambda word: names.get(word[0], word[0]), side.dim_param)
