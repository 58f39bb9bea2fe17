"""The stage that writes the trained network in other formats, and runs each file to see that it is the same network."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any

from nnpipe.errors import StageError
from nnpipe.exporters import AnyExporter
from nnpipe.exporters.exporter import Context, computed_by
from nnpipe.exporters.preprocessing import in_units
from nnpipe.models.architecture import Model
from nnpipe.spec import Part, Shorthand
from nnpipe.stages.work import Work

if TYPE_CHECKING:
    from nnpipe.exporters.exporter import Exporter, Run
    from nnpipe.models.network import Network

BATCHES = (1, 3, 64)  # a format may fix the size of a batch silently
TOLERANCE = 1e-4  # of outputs; of their size, where that is above 1
ROUNDING = 1e-6  # differences below it come from the order of summation


class Export(Part):
    """Which files to write; an export that is named twice is written once.

    model: the architecture, so that the code of its layers counts; weights are an input.
    """

    model: Model
    formats: tuple[Annotated[AnyExporter, Shorthand()], ...] = ()


def export(config: Export, work: Work) -> None:
    """Write one file an export; ``exports.json`` says what they are and how near the network they come.

    Raises:
        StageError: a format cannot hold this network, or its file computes something else.
    """
    from nnpipe.exporters.model_card import model_card
    from nnpipe.models.network import load_network
    from nnpipe.models.parts import part_of

    whole = load_network(*work.inputs["model"].tensors("model"), config.model)
    listed: list[dict[str, Any]] = []
    told: dict[str, dict[str, Any]] = {}
    for exporter in dict.fromkeys(config.formats):
        network, path = part_of(whole, exporter.part), work.output.directory / exporter.file
        exporter.write(network, path, Context(model_card(network)))
        work.output.claim(exporter.file)
        run = exporter.load(path, config.model)
        listed.append(
            {
                "kind": exporter.kind,
                "part": exporter.part,
                "preprocessing": "inside" if exporter.reads_raw else "metadata",
                "file": exporter.file,
                "loading": exporter.opening,
                "bytes": path.stat().st_size,
                "sha256": work.output.parts[exporter.file],
                "verified": run is not None,
                "largest_difference": None if run is None else _verify(exporter, network, run, work.seed),
            }
        )
        told[exporter.label] = {name: listed[-1][name] for name in ("file", "bytes", "verified")}
    work.output.json("exports", listed)
    work.output.summary["formats"] = told


def _verify(exporter: Exporter, network: Network, run: Run, seed: int) -> float:
    """What the outputs of ``run`` and of ``network`` differ by at most, rounded up to a power of ten.

    So rounded it does not depend on how many threads computed them.

    Raises:
        StageError: they differ by more than rounding explains.
    """
    difference = largest_difference(exporter, network, run, seed)
    if not difference <= TOLERANCE:
        raise StageError(
            f"the {exporter.label} file does not compute what the network computes",
            where="export",
            expected=f"outputs that differ by at most {TOLERANCE:g}",
            found=f"a difference of {difference:.2g}",
            hint=f"leave {exporter.label} out of 'export'",
        )
    return float(f"1e{math.ceil(math.log10(max(difference, ROUNDING)))}")


def largest_difference(exporter: Exporter, network: Network, run: Run, seed: int) -> float:
    """The largest difference of outputs, relative to outputs above 1, on random inputs of several batch sizes."""
    import numpy as np

    random, outputs_of = np.random.default_rng(seed), computed_by(network)
    worst = []
    for batch in BATCHES:
        raw = in_units(network.scaling, random.standard_normal((batch, *network.input_shape), dtype=np.float32))
        expected = exporter.gives(network, outputs_of(network.scaling.apply(raw)))
        found = run(exporter.reads(network, raw))
        if found.shape != expected.shape:
            return math.inf
        differences = np.abs(found - expected) / np.maximum(1, np.abs(expected))
        worst.append(differences.max())
    return float(np.max(worst))  # not a number, if any of them is
