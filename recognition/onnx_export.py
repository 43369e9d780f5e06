"""Exporting to ONNX: float16 numbers in the file, convolutions that pad for themselves."""

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

OPSET = 17


def to_onnx(module: nn.Module, inputs: dict[str, Tensor], outputs: Sequence[str], dynamic: dict[str, dict[int, str]],
            file: Path, half: bool = True) -> None:  # fmt: skip
    """Export `module`, with `half` its large constants as float16: half the size, read back to float32 on load."""
    aside = file.with_suffix(".tmp")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the tracing exporter warns of its own age and of constants that we mean
        torch.onnx.export(
            module.eval(), tuple(inputs.values()), str(aside), input_names=list(inputs), output_names=list(outputs),
            dynamic_axes=dynamic, opset_version=OPSET, dynamo=False,
        )  # fmt: skip
    model = onnx.load(str(aside))
    merge_pads(model)
    if half:
        store_half(model)
    onnx.save(model, str(aside))
    aside.rename(file)


def store_half(model: onnx.ModelProto) -> None:
    """Replace float32 constants of over 1,000 numbers by float16 ones, each followed by a cast."""
    graph = model.graph
    casts = []
    for constant in list(graph.initializer):
        values = numpy_helper.to_array(constant)
        if values.dtype != np.float32 or values.size < 1000:
            continue
        graph.initializer.remove(constant)
        graph.initializer.append(numpy_helper.from_array(values.astype(np.float16), constant.name + ".half"))
        casts.append(helper.make_node("Cast", [constant.name + ".half"], [constant.name], to=TensorProto.FLOAT))
    for cast in reversed(casts):
        graph.node.insert(0, cast)


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
