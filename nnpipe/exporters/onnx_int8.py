"""The network in ONNX with weights and activations of 8 bits: a quarter of the size, and larger ones run faster.

Static quantisation: B. Jacob et al., "Quantization and Training of Neural Networks for Efficient
Integer-Arithmetic-Only Inference", CVPR 2018; https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from nnpipe.errors import StageError, UsageError
from nnpipe.exporters.onnx_file import OnnxFile, onnx_bytes, onnx_model, open_session
from nnpipe.exporters.preprocessing import in_units

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    import onnx
    from onnxruntime.quantization import TensorsData

    from nnpipe.exporters.exporter import Context
    from nnpipe.models.network import Network

BATCH = 100  # examples that are calibrated by at a time


class OnnxInt8(OnnxFile):
    """``input`` (batch, *input_shape) to ``output`` (batch, units), float32 both; the document as ``onnx`` has it.

    Weights are int8, each output channel with a scale of its own; activations uint8, between the least and the
    largest value that training examples gave. What comes after the last layer with weights stays float32, and so
    do operators that have no form in 8 bits.
    """

    kind: Literal["onnx_int8"] = "onnx_int8"
    filename: ClassVar[str] = "model_int8.onnx"
    loading: ClassVar[str] = 'onnxruntime.InferenceSession("model_int8.onnx")'
    exact: ClassVar[bool] = False

    accuracy_loss: float = Field(
        0.01, ge=0, le=1, description="The largest loss of accuracy on test examples that is accepted."
    )
    weight_bits: Literal[8, 7] = Field(
        8,
        description="7 for x86 processors without VNNI, which add products of 8 bits in 16 and cut what is larger.",
    )

    def allowed_loss(self) -> float:
        return self.accuracy_loss

    def write(self, network: Network, path: Path, context: Context) -> None:
        """Write ``network``, quantised for inputs like ``context.examples``.

        Raises:
            UsageError: ONNX Runtime is not installed.
            StageError: there are no examples.
        """
        if find_spec("onnxruntime") is None:
            raise UsageError(
                f"{self.kind} needs the package onnxruntime, which is not installed",
                where="export",
                hint="pip install onnxruntime",
            )
        if context.examples is None or not len(context.examples):
            raise StageError(
                f"{self.kind} needs examples to calibrate by",
                where="export",
                expected="scaled training inputs",
                found="none",
                hint=f"name {self.kind} in the 'export' of a spec: a run has its training examples at hand",
            )
        examples = in_units(network.scaling, context.examples) if self.reads_raw else context.examples
        model = quantise(onnx_model(network, raw=self.reads_raw), examples, reduce_range=self.weight_bits == 7)
        path.write_bytes(onnx_bytes(model, self.document_of(network)))


def quantise(model: onnx.ModelProto, examples: np.ndarray, *, reduce_range: bool) -> onnx.ModelProto:
    """``model`` with pairs of QuantizeLinear and DequantizeLinear, which runtimes fuse into operators on integers.

    examples: (n, *input_shape) float32, n at least 1.
    reduce_range: weights in 7 bits.
    """
    import onnx
    from onnxruntime.quantization import QDQQuantizer, QuantType
    from onnxruntime.quantization.quant_utils import add_infer_metadata
    from onnxruntime.quantization.registry import QLinearOpsRegistry

    model = onnx.shape_inference.infer_shapes(model)
    ranges = tensor_ranges(model, examples)
    add_infer_metadata(model)  # else shapes are inferred once more, through files
    nodes = list(model.graph.node)
    # The last layer with weights; without any, all stays float.
    last = max((place for place, node in enumerate(nodes) if node.op_type in ("Conv", "Gemm", "MatMul")), default=-1)

    class FloatOutput(QDQQuantizer):  # type: ignore[misc]
        """What the last layer gives is not cut into 256 steps, nor at the largest value of the examples."""

        def quantize_activation_tensor(self, tensor_name: str) -> None:
            if tensor_name not in nodes[last].output:
                super().quantize_activation_tensor(tensor_name)

    quantizer = FloatOutput(
        model,
        per_channel=True,
        reduce_range=reduce_range,
        weight_qType=QuantType.QInt8,
        activation_qType=QuantType.QUInt8,  # what VNNI multiplies signed weights by
        tensors_range=ranges,
        nodes_to_quantize=[],
        nodes_to_exclude=[node.name for node in nodes[last + 1 :]],
        op_types_to_quantize=sorted(QLinearOpsRegistry),  # what ONNX Runtime computes in integers
        extra_options={},
    )
    quantizer.quantize_model()
    quantizer.model.topological_sort()
    found: onnx.ModelProto = quantizer.model.model
    return found


def tensor_ranges(model: onnx.ModelProto, examples: np.ndarray) -> TensorsData:
    """The least and the largest value that each float tensor of ``model`` takes, given ``examples``.

    ONNX Runtime's own calibration does the same through temporary files, and on as many cores as it likes.
    """
    import numpy as np
    import onnx
    from onnxruntime.quantization import CalibrationMethod, TensorData, TensorsData

    probe = onnx.ModelProto()
    probe.CopyFrom(model)
    probe.graph.output.extend(
        value for value in model.graph.value_info if value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT
    )
    session = open_session(probe.SerializeToString())
    names = [output.name for output in session.get_outputs()]
    ends: dict[str, list[np.ndarray]] = {name: [] for name in ("input", *names)}
    for start in range(0, len(examples), BATCH):
        batch = examples[start : start + BATCH]
        for name, values in zip(ends, [batch, *session.run(names, {"input": batch})], strict=True):
            ends[name] += [values.min(), values.max()]
    ranges = {name: TensorData(lowest=np.min(found), highest=np.max(found)) for name, found in ends.items()}
    return TensorsData(CalibrationMethod.MinMax, ranges)
