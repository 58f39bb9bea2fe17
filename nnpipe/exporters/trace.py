"""The graph of operators that a network consists of: what leaves the house without our classes and our paths."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from nnpipe.exporters.exporter import weights
from nnpipe.exporters.preprocessing import input_scaling, output_scaling
from nnpipe.models.network import Network, load_network, save_document
from nnpipe.models.scaling import Scaling

# What torch notes of the source code that an operator came from: names of files and classes.
PROVENANCE = ("stack_trace", "nn_module_stack", "source_fn_stack", "torch_fn", "from_node")
# One input, whose first axis is as long as it likes.
BATCH = ({0: Dim("batch", min=1)},)


def trace(network: Network, *, raw: bool = False) -> ExportedProgram:
    """``network.forward`` for batches of any size from 1; inputs: (batch, *input_shape).

    raw: inputs are raw values, and outputs in the data's units.
    """
    # Of a copy: weights in another order in memory would be saved as views, and a device is not ours to choose.
    copy = load_network(weights(network), save_document(network), network.architecture).to(
        memory_format=torch.contiguous_format
    )
    example = torch.zeros(2, *network.input_shape)  # torch takes a batch of 1 for a constant
    whole = _for_raw_values(copy) if raw else copy
    program = torch.export.export(whole, (example,), dynamic_shapes=BATCH)
    for node in program.graph.nodes:
        for key in PROVENANCE:
            node.meta.pop(key, None)
    return program


def _for_raw_values(network: Network) -> nn.Module:
    """``network`` between a module that scales and one that goes back to the data's units, where there is need."""
    reads, gives = input_scaling(network), output_scaling(network)
    return nn.Sequential(*([Scale(reads)] if reads else []), network, *([Unscale(gives)] if gives else []))


class _Numbers(nn.Module):
    def __init__(self, scaling: Scaling) -> None:
        super().__init__()
        self.offset = nn.Buffer(torch.tensor(scaling.offset, dtype=torch.float32))
        self.scale = nn.Buffer(torch.tensor(scaling.scale, dtype=torch.float32))


class Scale(_Numbers):
    """Raw values to scaled ones."""

    def forward(self, raw: Tensor) -> Tensor:
        return (raw - self.offset) / self.scale


class Unscale(_Numbers):
    """Scaled values to values in the data's units."""

    def forward(self, scaled: Tensor) -> Tensor:
        return scaled * self.scale + self.offset
