"""The stage that writes the trained network in other formats, and runs each file to see that it is the same network."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

from nnpipe.exporters import AnyExporter
from nnpipe.models.architecture import Model
from nnpipe.spec import Shorthand
from nnpipe.stages.card_facts import Stated, card_facts
from nnpipe.stages.work import Work

if TYPE_CHECKING:
    from nnpipe.exporters.departure import Samples
    from nnpipe.store.artifact import Artifact

TESTED = 2000  # test examples that a file is run on, at most
CALIBRATING = 500  # training examples that a format is calibrated by, at most


class Export(Stated):
    """Which files to write, and what their model card states; an export that is named twice is written once.

    model: the architecture, so that the code of its layers counts; weights are an input.
    """

    model: Model
    formats: tuple[Annotated[AnyExporter, Shorthand()], ...] = ()


def export(config: Export, work: Work) -> None:
    """Write one file an export, and ``model_card.md`` beside them.

    ``exports.json`` says what they are and how near the network they come.

    Raises:
        StageError: a format cannot hold this network, or its file computes something else.
    """
    work.output.summary["formats"] = {}
    work.output.json("exports", _write(config, work) if config.formats else [])


def _write(config: Export, work: Work) -> list[dict[str, Any]]:
    from nnpipe.exporters.departure import Departure
    from nnpipe.exporters.model_card import File
    from nnpipe.models.network import load_network
    from nnpipe.models.parts import part_of

    model, data, evaluation = (work.inputs[name] for name in ("model", "data", "evaluation"))
    whole = load_network(*model.tensors("model"), config.model)
    facts = card_facts(config, model, data, evaluation)
    departure = Departure(lambda part: part_of(whole, part), facts, samples_of(data), config.model)
    paths = {exporter: work.output.directory / exporter.file for exporter in config.formats}
    with ThreadPoolExecutor(1) as beside:
        # Keras takes seconds to start: what it need not run is written meanwhile.
        apart = {e: beside.submit(departure.leaving(e, path)) for e, path in paths.items() if e.runs_apart}
        verified = {e: departure.leave(e, path) for e, path in paths.items() if not e.runs_apart}
        verified |= {e: running.result() for e, running in apart.items()}
    files, listed = [], []
    for exporter, path in paths.items():
        verification = verified[exporter]
        work.output.claim(path.name)
        files.append(File(path.name, exporter, verification))
        listed.append(
            {
                "kind": exporter.kind,
                "part": exporter.part,
                "preprocessing": "inside" if exporter.reads_raw else "metadata",
                "file": path.name,
                "loading": exporter.opening,
                "bytes": path.stat().st_size,
                "sha256": work.output.parts[path.name],
                **asdict(verification),
            }
        )
        told = {name: listed[-1][name] for name in ("file", "bytes", "verified")}
        work.output.summary["formats"][exporter.label] = told
    work.output.file("model_card.md", departure.card(files).encode())
    return listed


def samples_of(data: Artifact) -> Samples:
    """Examples of ``data``, evenly spaced: at most ``CALIBRATING`` to train with and ``TESTED`` to test with."""
    from nnpipe.exporters.departure import Samples
    from nnpipe.stages.splits import read_evenly

    with closing(data.arrays("data")) as file:
        training, _ = read_evenly(file, "train", CALIBRATING)
        return Samples(training, *read_evenly(file, "test", TESTED))
