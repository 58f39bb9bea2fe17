"""The stage that writes the trained network in other formats, and runs each file to see that it is the same network."""

from __future__ import annotations

from contextlib import closing
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

from nnpipe.exporters import AnyExporter
from nnpipe.models.architecture import Model
from nnpipe.spec import Shorthand
from nnpipe.stages.card_facts import Stated, card_facts
from nnpipe.stages.work import Work

if TYPE_CHECKING:
    import numpy as np

    from nnpipe.exporters.verification import Verifier
    from nnpipe.models.network import Network
    from nnpipe.store.artifact import Artifact

TESTED = 2000  # test examples that a file is run on, at most
CALIBRATING = 500  # training examples that a format is calibrated by, at most


class Export(Stated):
    """Which files to write, and what their model card states; a format that is named twice is written once.

    model: the architecture, so that the code of its layers counts; weights are an input.
    """

    model: Model
    formats: tuple[Annotated[AnyExporter, Shorthand()], ...] = ()


def export(config: Export, work: Work) -> None:
    """Write one file a format, and ``model_card.md`` beside them.

    ``exports.json`` says what they are and how near the network they come.

    Raises:
        StageError: a format cannot hold this network, or its file computes something else.
    """
    listed = _write(config, work) if config.formats else []
    work.output.json("exports", listed)
    work.output.summary["formats"] = {
        entry["kind"]: {name: entry[name] for name in ("file", "bytes", "verified")} for entry in listed
    }


def _write(config: Export, work: Work) -> list[dict[str, Any]]:
    from nnpipe.exporters.exporter import Context
    from nnpipe.exporters.model_card import File, model_card
    from nnpipe.models.network import load_network

    model, data, evaluation = (work.inputs[name] for name in ("model", "data", "evaluation"))
    network = load_network(*model.tensors("model"), config.model)
    facts = card_facts(config, model, data, evaluation)
    context = Context(model_card(network, facts), calibrating(network, data))
    verifier = verifier_of(network, data, config.model)
    files, listed = [], []
    for exporter in dict.fromkeys(config.formats):
        path = work.output.directory / exporter.filename
        exporter.write(network, path, context)
        work.output.claim(path.name)
        verification = verifier.verify(exporter, path)
        files.append(File(path.name, exporter, verification))
        listed.append(
            {
                "kind": exporter.kind,
                "file": path.name,
                "loading": exporter.loading,
                "bytes": path.stat().st_size,
                "sha256": work.output.parts[path.name],
                **asdict(verification),
            }
        )
    work.output.file("model_card.md", model_card(network, facts, files).encode())
    return listed


def calibrating(network: Network, data: Artifact) -> np.ndarray:
    """Training inputs of ``data`` that stand for all, scaled for ``network``."""
    from nnpipe.stages.splits import read_evenly

    with closing(data.arrays("data")) as file:
        return read_evenly(file, "train", CALIBRATING, network.scaling)[0]


def verifier_of(network: Network, data: Artifact, architecture: Model | None = None) -> Verifier:
    """What runs files of ``network`` on the test examples of ``data``. architecture: as ``Verifier`` has it."""
    from nnpipe.exporters.verification import Verifier
    from nnpipe.stages.splits import read_evenly

    with closing(data.arrays("data")) as file:
        inputs, answers = read_evenly(file, "test", TESTED, network.scaling)
    return Verifier(network, inputs, answers if network.class_names else None, architecture)
