"""The graph of operators that a network consists of: what leaves the house without our classes and our paths."""

from __future__ import annotations

import torch
from torch.export import Dim, ExportedProgram

from nnpipe.exporters.exporter import weights
from nnpipe.models.network import Network, load_network, save_document

# What torch notes of the source code that an operator came from: names of files and classes.
PROVENANCE = ("stack_trace", "nn_module_stack", "source_fn_stack", "torch_fn", "from_node")
# One input, whose first axis is as long as it likes.
BATCH = ({0: Dim("batch", min=1)},)


def trace(network: Network) -> ExportedProgram:
    """``network.forward`` for batches of any size from 1; inputs: (batch, *input_shape)."""
    # Of a copy: weights in another order in memory would be saved as views, and a device is not ours to choose.
    copy = load_network(weights(network), save_document(network), network.architecture).to(
        memory_format=torch.contiguous_format
    )
    example = torch.zeros(2, *network.input_shape)  # torch takes a batch of 1 for a constant
    program = torch.export.export(copy, (example,), dynamic_shapes=BATCH)
    for node in program.graph.nodes:
        for key in PROVENANCE:
            node.meta.pop(key, None)
    return program
