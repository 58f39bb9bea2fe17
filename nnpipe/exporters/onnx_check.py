"""Whether an ONNX file of somebody's may be run: it holds all that it needs, ends, and takes a memory that is known."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from nnpipe.errors import DataError

if TYPE_CHECKING:
    import onnx

LARGEST_FILE = (1 << 31) - 1  # bytes: protobuf's own limit
MOST_VALUES = 1 << 28  # that the graph makes of one example, all together: a gigabyte
# What operators can be called that are ONNX's own.
DOMAINS = ("", "ai.onnx")


def read_onnx(path: Path) -> bytes:
    """What the file at ``path`` holds, unless no ONNX file is as large."""
    size = path.stat().st_size
    if size > LARGEST_FILE:
        expected, found = f"at most {LARGEST_FILE:,} bytes", f"{size:,} bytes"
        raise DataError("not a readable ONNX file", where=str(path), expected=expected, found=found)
    return path.read_bytes()


def checked_model(data: bytes, path: Path) -> onnx.ModelProto:
    """The model that ``data``, from the file at ``path``, are.

    Raises:
        DataError: it is damaged, keeps weights in other files, has operators of somebody's own or such that run
            others, which may never end, or makes values of which nobody can tell how many they are, or too many.
    """
    import onnx

    try:
        model = onnx.load_model_from_string(data)
    except Exception as error:  # protobuf's own, which has no types
        raise DataError("not a readable ONNX file", where=str(path), found=str(error)) from error
    _check_tensors(model, path, 8 * len(data))  # a value may take a bit
    _check_operators(model, path)
    _check_values(model, path)
    return model


def _check_tensors(model: onnx.ModelProto, path: Path, most: int) -> None:
    tensors = list(_tensors(model))
    outside = [tensor.name for tensor in tensors if tensor.external_data or tensor.data_location == tensor.EXTERNAL]
    if outside:
        raise DataError(
            "the file keeps weights in other files, which are not read",
            where=str(path),
            expected="all weights inside",
            found=f"{len(outside)} outside, {outside[0]!r} first",
        )
    claimed = sum(math.prod(tensor.dims) for tensor in tensors)
    if claimed > most or any(size < 0 for tensor in tensors for size in tensor.dims):
        raise DataError(
            "weights that claim more than the file can hold",
            where=str(path),
            expected=f"at most {most:,} values",
            found=f"{claimed:,}",
        )


def _tensors(model: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    yield from model.graph.initializer
    sparse = list(model.graph.sparse_initializer)
    for node in model.graph.node:
        for attribute in node.attribute:
            yield from (attribute.t, *attribute.tensors)
            sparse += [attribute.sparse_tensor, *attribute.sparse_tensors]
    for tensor in sparse:
        yield from (tensor.values, tensor.indices)


def _check_operators(model: onnx.ModelProto, path: Path) -> None:
    foreign = {f"{node.domain}.{node.op_type}" for node in model.graph.node if node.domain not in DOMAINS}
    running = {
        node.op_type
        for node in model.graph.node
        if any(attribute.HasField("g") or attribute.graphs for attribute in node.attribute)
    }
    wrong = sorted(foreign | running | {function.name for function in model.functions})
    if wrong or model.graph.sparse_initializer:
        raise DataError(
            "an ONNX file with operators that are not run here",
            where=str(path),
            expected="ONNX's own operators that run no others, and dense weights",
            found=", ".join(wrong) or "sparse weights",
        )


def _check_values(model: onnx.ModelProto, path: Path) -> None:
    """Let ONNX tell the shape of every value that is made of one example."""
    import onnx

    asked = onnx.ModelProto()
    asked.CopyFrom(model)
    del asked.graph.value_info[:]  # it says what is so, not the file
    for end in asked.graph.output:
        end.type.tensor_type.ClearField("shape")
    try:
        asked.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
        inferred = onnx.shape_inference.infer_shapes(asked, check_type=True, strict_mode=True, data_prop=True).graph
    except Exception as error:
        raise DataError("not a graph of ONNX's operators", where=str(path), found=str(error)) from error
    shapes = {value.name: value.type.tensor_type for value in (*inferred.value_info, *inferred.output)}
    made = [name for node in model.graph.node for name in node.output if name]
    unknown = [name for name in made if name not in shapes or not _is_known(shapes[name])]
    values = sum(math.prod(axis.dim_value for axis in shapes[name].shape.dim) for name in made if name not in unknown)
    if unknown or values > MOST_VALUES:
        raise DataError(
            "an ONNX file whose memory is not bounded",
            where=str(path),
            expected=f"values of a known shape, at most {MOST_VALUES:,} of one example",
            found=f"{unknown[0]!r}, whose shape cannot be told" if unknown else f"{values:,} of one example",
        )


def _is_known(kind: onnx.TypeProto.Tensor) -> bool:
    return kind.HasField("shape") and all(axis.HasField("dim_value") for axis in kind.shape.dim)
