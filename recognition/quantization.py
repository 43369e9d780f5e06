"""Exported encoders in 8 bits: convolutions with integer weights and activations, quantized after training.

Weights have a scale per channel, activations one per map, from the ranges seen on training crops (Krishnamoorthi 2018,
sections 2 and 3). Everything that is no convolution of the encoder stays in floating point.

Shapes in this module:
    B  crops of a calibration batch      S  side of a squared crop
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy.typing as npt
import onnx
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from recognition.onnx_export import mark, store_half

Inputs = Mapping[str, npt.NDArray[Any]]


class _Reader(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, batches: Iterator[Inputs]) -> None:
        self._batches = batches

    def get_next(self) -> dict[str, npt.NDArray[Any]] | None:
        batch = next(self._batches, None)
        return None if batch is None else dict(batch)


def quantize(model: Path, batches: Iterator[Inputs], file: Path, weights: str) -> None:
    """Write `model`, a float32 ONNX file, in 8 bits to `file`; `batches` are inputs as it will see them, `weights` their mark."""
    ready, aside = file.with_suffix(".ready"), file.with_suffix(".tmp")
    quant_pre_process(str(model), str(ready), skip_symbolic_shape=True)
    convolutions = [node for node in onnx.load(str(ready)).graph.node if node.op_type == "Conv"]
    quantize_static(
        str(ready), str(aside), _Reader(batches), quant_format=QuantFormat.QDQ, per_channel=True,
        activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8, op_types_to_quantize=["Conv"],
        nodes_to_quantize=[node.name for node in convolutions if "/encoder/" in node.name],
        calibrate_method=CalibrationMethod.MinMax,
    )  # fmt: skip
    ready.unlink()
    quantized = onnx.load(str(aside))
    store_half(quantized)
    mark(quantized, weights)
    onnx.save(quantized, str(aside))
    aside.rename(file)
