"""ONNX files that were made to do harm: what is done to a right one, and a part of what it is refused with."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

Spoil = Callable[[onnx.ModelProto], object]
GRAPHS: dict[str, tuple[Spoil, str]] = {}
OUTSIDE, FOREIGN, UNBOUNDED = "weights in other files", "operators that are not run here", "memory is not bounded"
FLOAT, INT64, BOOL = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL


def refused(words: str) -> Callable[[Spoil], Spoil]:
    def listed(spoil: Spoil) -> Spoil:
        GRAPHS[spoil.__name__] = (spoil, words)
        return spoil

    return listed


def constant(model: onnx.ModelProto, name: str, values: object, dtype: str = "int64") -> str:
    model.graph.initializer.append(numpy_helper.from_array(np.array(values, dtype), name))
    return name


def before_the_end(model: onnx.ModelProto, *nodes: onnx.NodeProto) -> None:
    """Put ``nodes`` in front; the last of them has a part in the output, so that it must be computed."""
    last = model.graph.node[-1]
    last.output[0] = "given"
    sum_ = helper.make_node("ReduceSum", [nodes[-1].output[0]], ["sum"], keepdims=0)
    add = helper.make_node("Add", ["given", "sum"], ["output"])
    whole = [*nodes, *model.graph.node, sum_, add]
    del model.graph.node[:]
    model.graph.node.extend(whole)


def elsewhere(tensor: TensorProto, place: str = "../../etc/passwd") -> None:
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=place)


@refused(OUTSIDE)
def weights_in_another_file(model: onnx.ModelProto) -> None:
    elsewhere(model.graph.initializer[0])


@refused(OUTSIDE)
def a_constant_in_another_file(model: onnx.ModelProto) -> None:
    value = numpy_helper.from_array(np.ones(3, np.float32))
    elsewhere(value)
    before_the_end(model, helper.make_node("Constant", [], ["c"], value=value))


@refused(FOREIGN)
def sparse_weights(model: onnx.ModelProto) -> None:
    values, indices = numpy_helper.from_array(np.ones(1, np.float32), "s"), numpy_helper.from_array(np.array([0]))
    model.graph.sparse_initializer.append(helper.make_sparse_tensor(values, indices, [10**6, 10**6]))
    before_the_end(model, helper.make_node("Identity", ["s"], ["t"]))


@refused(FOREIGN)
def an_operator_of_somebodys_own(model: onnx.ModelProto) -> None:
    model.opset_import.append(helper.make_opsetid("evil", 1))
    before_the_end(model, helper.make_node("Run", ["input"], ["x"], domain="evil", command="touch executed"))


@refused(FOREIGN)
def a_function_of_somebodys_own(model: onnx.ModelProto) -> None:
    body = [helper.make_node("Identity", ["a"], ["b"])]
    model.opset_import.append(helper.make_opsetid("evil", 1))
    model.functions.append(helper.make_function("evil", "F", ["a"], ["b"], body, [helper.make_opsetid("", 20)]))
    before_the_end(model, helper.make_node("F", ["input"], ["x"], domain="evil"))


@refused(FOREIGN)
def a_loop_without_an_end(model: onnx.ModelProto) -> None:
    body = helper.make_graph(
        [helper.make_node("Identity", ["more"], ["again"]), helper.make_node("Add", ["x", "x"], ["y"])],
        "body",
        [helper.make_tensor_value_info("n", INT64, []), helper.make_tensor_value_info("more", BOOL, []),
         helper.make_tensor_value_info("x", FLOAT, [])],
        [helper.make_tensor_value_info("again", BOOL, []), helper.make_tensor_value_info("y", FLOAT, [])],
    )  # fmt: skip
    times, more = constant(model, "times", 2**62), constant(model, "true", True, "bool")
    before_the_end(
        model, helper.make_node("Loop", [times, more, constant(model, "one", 1, "float32")], ["end"], body=body)
    )


@refused(FOREIGN)
def a_choice_between_graphs(model: onnx.ModelProto) -> None:
    branch = helper.make_graph(
        [helper.make_node("Constant", [], ["b"], value_float=1.0)],
        "b",
        [],
        [helper.make_tensor_value_info("b", FLOAT, [])],
    )
    condition = constant(model, "true", True, "bool")
    before_the_end(model, helper.make_node("If", [condition], ["x"], then_branch=branch, else_branch=branch))


@refused(UNBOUNDED)
def a_constant_of_absurd_shape(model: onnx.ModelProto) -> None:
    before_the_end(model, helper.make_node("ConstantOfShape", [constant(model, "n", [10**6, 10**6])], ["x"]))


@refused(UNBOUNDED)
def a_small_row_times_a_small_column(model: onnx.ModelProto) -> None:
    row, column = (
        constant(model, "r", np.ones((1, 10**5)), "float32"),
        constant(model, "c", np.ones((10**5, 1)), "float32"),
    )
    before_the_end(model, helper.make_node("Add", [row, column], ["x"]))


@refused(UNBOUNDED)
def a_shape_that_depends_on_the_input(model: onnx.ModelProto) -> None:
    million = constant(model, "million", 1e12, "float32")
    before_the_end(
        model,
        helper.make_node("ReduceMax", ["input"], ["largest"], keepdims=0),
        helper.make_node("Mul", ["largest", million], ["many"]),
        helper.make_node("Cast", ["many"], ["count"], to=INT64),
        helper.make_node("Reshape", ["count", constant(model, "row", [1])], ["n"]),
        helper.make_node("ConstantOfShape", ["n"], ["x"]),
    )


@refused(UNBOUNDED)
def many_values_of_a_large_shape(model: onnx.ModelProto) -> None:
    shape = constant(model, "n", [10**6])
    nodes = [helper.make_node("ConstantOfShape", [shape], [f"x{number}"]) for number in range(1000)]
    before_the_end(model, *nodes, helper.make_node("Sum", [f"x{number}" for number in range(1000)], ["all"]))


@refused("")
def a_shape_that_lies(model: onnx.ModelProto) -> None:
    """The file says that the value is small, and strict inference finds it is not, or that nobody can tell."""
    model.graph.value_info.append(helper.make_tensor_value_info("x", FLOAT, [1]))
    a_shape_that_depends_on_the_input(model)


@refused("more than the file can hold")
def weights_that_claim_more(model: onnx.ModelProto) -> None:
    model.graph.initializer[0].dims[:] = [10**6, 10**6]


@refused("more than the file can hold")
def weights_of_a_negative_size(model: onnx.ModelProto) -> None:
    model.graph.initializer[0].dims[0] *= -1


@refused(UNBOUNDED)
def an_operator_that_there_is_not(model: onnx.ModelProto) -> None:
    before_the_end(model, helper.make_node("Exec", ["input"], ["x"]))


@refused("not of the network")
def an_input_of_another_shape(model: onnx.ModelProto) -> None:
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 2


@refused("")
def a_graph_in_circles(model: onnx.ModelProto) -> None:
    model.graph.node[0].input[0] = model.graph.node[-1].output[0]


@refused("no finite answer")
def weights_that_are_no_numbers(model: onnx.ModelProto) -> None:
    first = model.graph.initializer[0]
    first.CopyFrom(numpy_helper.from_array(np.full(tuple(first.dims), np.nan, np.float32), first.name))


@refused("does not give what its file says")
def an_output_of_another_shape(model: onnx.ModelProto) -> None:
    model.graph.node[-1].output[0] = "given"
    model.graph.node.append(helper.make_node("Concat", ["given", "given"], ["output"], axis=1))
    model.graph.output[0].type.tensor_type.shape.dim[1].dim_value = 6


@refused("not of the network")
def no_output(model: onnx.ModelProto) -> None:
    del model.graph.output[:]


@refused("")
def no_graph(model: onnx.ModelProto) -> None:
    model.ClearField("graph")
