"""Exporting to ONNX: float16 numbers that stay in the file of the weights, convolutions that pad for themselves."""

import json
import struct
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from recognition.cards import fingerprint

OPSET = 17
HALF = ".half"  # ends the name of a constant that was made float16


def to_onnx(module: nn.Module, inputs: dict[str, Tensor], outputs: Sequence[str], dynamic: dict[str, dict[int, str]],
            file: Path, weights: Path | None = None) -> None:  # fmt: skip
    """Export `module` to `file`, its numbers as they are.

    With `weights`, the safetensors file in the same folder that the module's parameters were read from, large constants
    become float16, read back to float32 on load, and the file refers to that one for all that it holds: the numbers are
    stored once. What follows from parameters alone is computed by the runtime on load, for the same reason.
    """
    aside = file.with_suffix(".tmp")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the tracing exporter warns of its own age and of constants that we mean
        torch.onnx.export(
            module.eval(), tuple(inputs.values()), str(aside), input_names=list(inputs), output_names=list(outputs),
            dynamic_axes=dynamic, opset_version=OPSET, do_constant_folding=False, dynamo=False,
        )  # fmt: skip
    model = onnx.load(str(aside))
    merge_pads(model)
    if weights is not None:
        store_half(model)
        _refer(model, weights)
        mark(model, fingerprint(weights))
    aside.write_bytes(model.SerializeToString())
    aside.rename(file)


def mark(model: onnx.ModelProto, of: str) -> None:
    """Write into a model which weights it was exported of."""
    model.metadata_props.add(key="weights", value=of)


def store_half(model: onnx.ModelProto) -> None:
    """Replace float32 constants of over 1,000 numbers by float16 ones, each followed by a cast."""
    graph = model.graph
    casts = []
    for constant in list(graph.initializer):
        values = numpy_helper.to_array(constant)
        if values.dtype != np.float32 or values.size < 1000:
            continue
        graph.initializer.remove(constant)
        graph.initializer.append(numpy_helper.from_array(values.astype(np.float16), constant.name + HALF))
        casts.append(helper.make_node("Cast", [constant.name + HALF], [constant.name], to=TensorProto.FLOAT))
    for cast in reversed(casts):
        graph.node.insert(0, cast)


def _refer(model: onnx.ModelProto, weights: Path) -> None:
    """Let constants refer to the tensors of `weights` that have the end of their name and the very same bytes."""
    raw = weights.read_bytes()
    (n_header,) = struct.unpack("<Q", raw[:8])  # safetensors: length of a JSON header, the header, the tensors
    tensors = {
        name: told["data_offsets"] for name, told in json.loads(raw[8 : 8 + n_header]).items() if name != "__metadata__"
    }
    for constant in model.graph.initializer:
        name = constant.name.removesuffix(HALF)
        if not constant.name.endswith(HALF) or (found := next((k for k in tensors if name.endswith(k)), None)) is None:
            continue
        start, stop = (8 + n_header + offset for offset in tensors[found])
        if raw[start:stop] != constant.raw_data:
            continue
        constant.ClearField("raw_data")
        constant.data_location = TensorProto.EXTERNAL
        for key, value in (("location", weights.name), ("offset", str(start)), ("length", str(stop - start))):
            constant.external_data.add(key=key, value=value)


def merge_pads(model: onnx.ModelProto) -> None:
    """Let convolutions pad for themselves at the bottom and right, as `PadLikeTensorFlow` before them does.

    A Pad between two convolutions makes ONNX Runtime reorder whole maps: a third of the detector's time.
    """
    graph = model.graph
    makers = {output: node for node in graph.node for output in node.output}
    for convolution in [node for node in graph.node if node.op_type == "Conv"]:
        pad = makers.get(convolution.input[0])
        if pad is None or pad.op_type != "Pad":
            continue
        kept = [attribute for attribute in convolution.attribute if attribute.name != "pads"]
        del convolution.attribute[:]
        convolution.attribute.extend([*kept, helper.make_attribute("pads", [0, 0, 1, 1])])
        convolution.input[0] = pad.input[0]
        graph.node.remove(pad)
