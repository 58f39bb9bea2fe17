"""What a stage, and a run, leave to read in Prefect's UI: Markdown with a table, curves and pictures.

A page that a server sends may neither show nor open files of this machine, so pictures stand in the text as data URLs,
which both of Prefect's UIs render, and paths are told to be copied.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nnpipe.pipeline.made import made
from nnpipe.plots import words
from nnpipe.stages.report_data import are_images, data_url, images_url

if TYPE_CHECKING:
    from nnpipe.pipeline.run import Run, StageResult
    from nnpipe.store.artifact import Artifact

SHORT = 16  # characters of a digest that are shown; as many as are needed to find it are enough
PICTURES = 300_000  # bytes of an artifact's pictures together, as PNG
READ = 100_000_000  # bytes: of larger data no examples are shown, as all would be read to check them
EXAMPLES, EXAMPLE_WIDTH = 8, 56  # how many, and pixels of each
BARS = "▁▂▃▄▅▆▇█"
WIDEST = 30  # bars of a curve
UNTOLD = ("epoch", "learning_rate")  # of a history's record


def key(*names: str) -> str:
    """A key that Prefect takes and that stays from run to run: ``digits-pretrain-1``."""
    return re.sub("[^a-z0-9]+", "-", "-".join(names).lower()).strip("-")


def stage_page(spec: str, result: StageResult, artifact: Artifact) -> str:
    """What a stage made, how it went, where it lies; curves of its training; its pictures."""
    rows = [
        ("status", _status(result.status, artifact.made)),
        ("took", words.duration(result.seconds)),
        ("artifact", f"`{result.artifact[:SHORT]}`"),
        ("content", f"`{result.content[:SHORT]}`"),
        ("report", f"[{key(spec, 'report')}](../key/{key(spec, 'report')})"),
    ]
    where = f"It lies in\n\n    {artifact.directory.resolve()}"
    if result.name == "report":
        rows, where = rows[:-1], f"Open\n\n    {(artifact.directory / 'report.html').resolve().as_uri()}"
    facts = _table(("", ""), rows)
    parts = [f"# {result.name}", made(artifact), facts, where, _curves(artifact), *_pictures(artifact)]
    return "\n\n".join(filter(None, parts))


def run_page(run: Run) -> str:
    """How a run went: what it measured, its stages, its report."""
    report = f"The report is\n\n    {Path(run.report).resolve().as_uri()}" if run.report else ""
    stages = [
        (f"[{s.name}](../key/{key(run.spec, s.name)})", s.status, words.duration(s.seconds), f"`{s.artifact[:SHORT]}`")
        for s in run.stages
    ]
    measures = [(words.metric(name), words.number(value)) for name, value in run.headline.items()]
    parts = [
        f"# {run.run}: {run.status}",
        _table(("measure", "value"), measures) if measures else "",
        _table(("stage", "status", "took", "artifact"), stages),
        report,
    ]
    return "\n\n".join(filter(None, parts))


def _status(status: str, how: Mapping[str, Any]) -> str:
    if status != "reused" or not how:
        return status
    return f"reused: computed in {words.duration(how.get('seconds'))} by run {how.get('run')}"


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def _curves(artifact: Artifact) -> str:
    """Each measure of a training stage from its first epoch to its last."""
    if "history.json" not in artifact.manifest.files:
        return ""
    history = artifact.json("history")
    records = history["records"] if isinstance(history, dict) else history
    names = [name for name in (records[0] if records else ()) if name not in UNTOLD]
    curves = [(name, [record[name] for record in records if name in record]) for name in names]
    rows = [(words.kind(name), bars(values), words.number(values[-1])) for name, values in curves]
    return _table(("measure", f"epochs 1 to {len(records)}", "last"), rows) if rows else ""


def bars(values: Sequence[float]) -> str:
    """A curve in one line of text, from the lowest value to the highest; of many values some are left out."""
    step = max(1, -(-len(values) // WIDEST))
    shown = [*values[:-1:step], values[-1]]
    low, high = min(shown), max(shown)
    return "".join(BARS[round((value - low) / ((high - low) or 1) * (len(BARS) - 1))] for value in shown)


def _pictures(artifact: Artifact) -> Iterable[str]:
    if "pictures.json" in artifact.manifest.files:
        return _drawn(artifact)
    return _examples(artifact) if artifact.manifest.stage == "ingest" else ()


def _drawn(artifact: Artifact) -> Iterable[str]:
    room, left = PICTURES, 0
    for picture in artifact.json("pictures"):
        size, _ = artifact.manifest.files[picture["file"]]
        room -= size
        if room < 0:
            left += 1
            continue
        png = artifact.path(picture["file"]).read_bytes()
        image = f"![{re.sub('[][]', '', picture['alt'])}]({data_url(png)})"
        yield "\n\n".join((f"## {picture['title']}", image, picture["caption"]))
    if left:
        yield f"The report has {left} more."


def _examples(artifact: Artifact) -> Iterable[str]:
    if artifact.size > READ or not are_images(artifact.summary):
        return
    with closing(artifact.arrays("data")) as file:
        places = list(range(min(EXAMPLES, file.shape("X_train")[0])))
        url = images_url(file, "X_train", places, artifact.summary)
        yield f'<img alt="the first training examples" width="{EXAMPLE_WIDTH * len(places)}" src="{url}">'
