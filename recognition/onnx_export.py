"""Exporting to ONNX: float16 numbers that stay in the file of the weights, convolutions that pad for themselves."""

import math
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from recognition.cards import fingerprint
from recognition.weight_files import LARGE, SCALE, Extent, extents, read

OPSET = 17
HALF, RAW = ".half", ".raw"  # end the names of constants that were made float16, or that lie in the file of the weights
_TYPES = {"F16": TensorProto.FLOAT16, "F32": TensorProto.FLOAT, "I8": TensorProto.INT8}


def to_onnx(module: nn.Module, inputs: dict[str, Tensor], outputs: Sequence[str], dynamic: dict[str, dict[int, str]],
            file: Path, weights: Path | None = None) -> None:  # fmt: skip
    """Export `module` to `file`, its numbers as they are.

    With `weights`, the file in the same folder that the module's parameters were read from, the model refers to that file
    for what it holds, and other large constants become float16: every number is stored once, and read to float32 on load.
    What follows from parameters alone is computed by the runtime on load too, for the same reason.
    """
    aside = file.with_suffix(".tmp")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the tracing exporter warns of its own age and of constants that we mean
        torch.onnx.export(
            module.eval(), tuple(inputs.values()), str(aside), input_names=list(inputs), output_names=list(outputs),
            dynamic_axes=dynamic, opset_version=OPSET, do_constant_folding=False, dynamo=False,
            training=torch.onnx.TrainingMode.PRESERVE,  # in evaluation, but batch norms stay apart from convolutions
        )  # fmt: skip
    model = onnx.load(str(aside))
    merge_pads(model)
    if weights is not None:
        _refer(model, weights)
        store_half(model)
        mark(model, fingerprint(weights))
    aside.write_bytes(model.SerializeToString())
    aside.rename(file)


def mark(model: onnx.ModelProto, of: str) -> None:
    """Write into a model which weights it was exported of."""
    model.metadata_props.add(key="weights", value=of)


def store_half(model: onnx.ModelProto) -> None:
    """Replace float32 constants of over 1,000 numbers by float16 ones, each followed by a cast."""
    before = []
    for constant in list(model.graph.initializer):
        outside = constant.data_location == TensorProto.EXTERNAL
        if outside or constant.data_type != TensorProto.FLOAT or math.prod(constant.dims) < LARGE:
            continue
        values = numpy_helper.to_array(constant)
        model.graph.initializer.remove(constant)
        model.graph.initializer.append(numpy_helper.from_array(values.astype(np.float16), constant.name + HALF))
        before.append(helper.make_node("Cast", [constant.name + HALF], [constant.name], to=TensorProto.FLOAT))
    _prepend(model, before)


def _refer(model: onnx.ModelProto, weights: Path) -> None:
    """Let large constants refer to the tensors of `weights` that have the end of their name and the very same numbers."""
    held, at = read(weights), extents(weights)
    before = []
    for constant in list(model.graph.initializer):
        values, name = numpy_helper.to_array(constant), constant.name
        found = next((k for k in held if name.endswith(k)), None)
        if found is None or values.size < LARGE or not np.array_equal(values, held[found].numpy()):
            continue
        model.graph.initializer.remove(constant)
        raw = name + RAW
        model.graph.initializer.append(_outside(raw, values.shape, at[found], weights))
        if found + SCALE in at:
            scale = _outside(raw + SCALE, (len(values), *[1] * (values.ndim - 1)), at[found + SCALE], weights)
            model.graph.initializer.append(scale)
            before += [
                helper.make_node("Cast", [raw], [raw + ".float"], to=TensorProto.FLOAT),
                helper.make_node("Mul", [raw + ".float", scale.name], [name]),
            ]
        else:
            before.append(helper.make_node("Cast", [raw], [name], to=TensorProto.FLOAT))
    _prepend(model, before)


def _outside(name: str, shape: Sequence[int], extent: Extent, weights: Path) -> TensorProto:
    tensor = TensorProto(name=name, dims=shape, data_type=_TYPES[extent.kind], data_location=TensorProto.EXTERNAL)
    told = {"location": weights.name, "offset": str(extent.start), "length": str(extent.stop - extent.start)}
    for key, value in told.items():
        tensor.external_data.add(key=key, value=value)
    return tensor


def _prepend(model: onnx.ModelProto, nodes: Sequence[onnx.NodeProto]) -> None:
    for node in reversed(nodes):
        model.graph.node.insert(0, node)


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
