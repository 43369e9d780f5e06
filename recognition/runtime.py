"""Running exported models on the processor: by OpenVINO or ONNX Runtime, in the numbers it multiplies fastest. No torch."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from threading import local
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as pybind

from recognition.cards import WeightsMismatch

Arrays = Mapping[str, npt.NDArray[Any]]

ENGINES = ("openvino", "onnxruntime")
PRECISIONS = ("float32", "bfloat16", "int8")
# What "auto" takes. With AMX openvino-bfloat16 is faster (24.2 ms a garment against 25.6), but says 1.7 % of the single
# labels otherwise than float32 and costs the detector 1.9 points of mAP on val (docs/models.md).
BEST = ("onnxruntime", "float32")
_HINTS = {"float32": "f32", "bfloat16": "bf16", "int8": "f32"}  # what is not in 8 bits stays float32


class BadRuntime(ValueError):
    """A name of an engine or a precision that does not exist, or a pair that cannot be."""


class Network(Protocol):
    """An opened model, safe to use from many threads."""

    def run(self, inputs: Arrays) -> list[npt.NDArray[Any]]:
        """The model's outputs in their order."""


@dataclass(frozen=True)
class Runtime:
    """How models are run: by which engine, in which numbers, on how many threads."""

    engine: str = "onnxruntime"
    precision: str = "float32"
    threads: int = 2

    @property
    def name(self) -> str:
        """As it is written in settings."""
        return f"{self.engine}-{self.precision}"

    @classmethod
    def named(cls, name: str, threads: int | None = None) -> "Runtime":
        """Read "auto" or ENGINE-PRECISION. Raises BadRuntime, saying what there is."""
        n = threads or os.cpu_count() or 2
        if name == "auto":
            return cls(*BEST, n)
        engine, _, precision = name.partition("-")
        if engine not in ENGINES or precision not in PRECISIONS:
            raise BadRuntime(
                f"no runtime {name!r}; there are: auto, " + ", ".join(f"{e}-{p}" for e in ENGINES for p in PRECISIONS)
            )
        if (engine, precision) == ("onnxruntime", "bfloat16"):
            raise BadRuntime("ONNX Runtime multiplies no bfloat16 on a processor; take openvino-bfloat16")
        if precision == "bfloat16" and not multiplies_bfloat16():
            raise BadRuntime("this processor has no instructions for bfloat16; take openvino-float32 or auto")
        return cls(engine, precision, n)

    def open(self, file: Path) -> Network:
        """Open FILE.onnx, or FILE.int8.onnx in 8 bits where there is one. Raises WeightsMismatch."""
        small = file.with_suffix(".int8.onnx")
        source = small if self.precision == "int8" and small.is_file() else file
        if not source.is_file():
            raise WeightsMismatch(f"no exported model {source.name}")
        try:
            return _OpenVino(source, self) if self.engine == "openvino" else _OnnxRuntime(source, self)
        except (
            pybind.Fail,
            pybind.InvalidProtobuf,
            pybind.InvalidGraph,
            pybind.InvalidArgument,
            RuntimeError,
        ) as wrong:
            raise WeightsMismatch(f"{source.name} is damaged: {wrong}") from wrong


@cache
def multiplies_bfloat16() -> bool:
    """Whether the processor has instructions for bfloat16 (AMX, AVX-512 BF16); others emulate it slowly."""
    import openvino  # only where asked for: the default does not need it

    return "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


class _OnnxRuntime:
    def __init__(self, file: Path, runtime: Runtime) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = runtime.threads
        options.log_severity_level = 3
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # processes share the processor
        self._session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])

    def run(self, inputs: Arrays) -> list[npt.NDArray[Any]]:
        return [np.asarray(out) for out in self._session.run(None, dict(inputs))]


class _OpenVino:
    def __init__(self, file: Path, runtime: Runtime) -> None:
        import openvino

        core = openvino.Core()
        settings = {
            "INFERENCE_PRECISION_HINT": _HINTS[runtime.precision], "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": runtime.threads, "ENABLE_CPU_PINNING": False,
        }  # fmt: skip
        self._model = core.compile_model(core.read_model(file), "CPU", settings)
        self._mine = local()

    def run(self, inputs: Arrays) -> list[npt.NDArray[Any]]:
        if not hasattr(self._mine, "request"):  # a request serves one thread at a time
            self._mine.request = self._model.create_infer_request()
        answered: Sequence[Any] = self._mine.request.infer(dict(inputs)).to_tuple()
        return [np.array(out) for out in answered]  # the request's own memory is written again by the next call
