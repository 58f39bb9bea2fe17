"""A model card: what a network is for, what it reads and gives, how it came about, and what it is worth.

Parts and their order follow M. Mitchell et al., "Model Cards for Model Reporting", FAT* 2019; the front matter is what
https://huggingface.co/docs/hub/model-cards reads. What a spec says may hold anything: it ends where it stands.
"""

from __future__ import annotations

import html
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nnpipe.exporters.card import Card
from nnpipe.exporters.verification import Verification

if TYPE_CHECKING:
    from nnpipe.exporters.exporter import Exporter
    from nnpipe.models.network import Network

MOST_NAMED = 20  # classes or numbers; the model document has all
NOT_STATED = "Not stated."


@dataclass(frozen=True)
class Facts:
    """What a card tells besides the network itself; what is not known is left empty.

    source: what the data are called; examples: split -> how many of them.
    training: what was chosen, or came of it -> in words.
    results: measure, value, the ends of its 95 % interval or None; of ``tested`` examples.
    digests: of what -> content digest.
    """

    card: Card = field(default_factory=Card)
    source: str = ""
    examples: Mapping[str, int] = field(default_factory=dict)
    training: Mapping[str, str] = field(default_factory=dict)
    results: Sequence[tuple[str, float, Sequence[float] | None]] = ()
    tested: int = 0
    digests: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class File:
    """An exported file as a card tells of it. verification: what running it gave; None: nothing is said of that."""

    name: str
    exporter: Exporter
    verification: Verification | None = None


def model_card(network: Network, facts: Facts | None = None, files: Sequence[File] = ()) -> str:
    """The card of ``network``, in Markdown; the same facts give the same bytes.

    files: what it stands beside.
    """
    facts = facts or Facts()
    card, layers = facts.card, len(network.architecture.layers)
    title = _line(card.title) or f"A network of {layers} layer{'s' if layers > 1 else ''}"
    parts = [
        f"---\n{_front_matter(network, card)}---",
        f"# {title}",
        f"A network trained with nnpipe. {_gives(network)}",
        f"It reads examples of shape {_by(network.input_shape)} that are scaled: `x = (raw - offset) / scale`, with "
        f"{_scaling(network)}.",
        f"## Intended use\n\n{_quoted(card.intended_use)}",
        f"## Out of scope\n\n{_quoted(card.out_of_scope)}",
        f"## Limitations\n\n{_quoted(card.limitations)}",
        *_loading(files),
        f"## Architecture\n\n{_architecture(network)}",
        f"## Data\n\n{_data(network, facts)}",
        f"## Training\n\n{_listed({what: _code(told) for what, told in facts.training.items()})}",
        f"## Results\n\n{_results(facts)}",
        f"## Provenance\n\n{_provenance(facts)}",
        f"## Who made it\n\n{_makers(card)}",
    ]
    return "\n\n".join(parts) + "\n"


def _front_matter(network: Network, card: Card) -> str:
    from ruamel.yaml import YAML

    front: dict[str, Any] = {"library_name": "nnpipe"}
    if card.licence:
        alone = " " not in card.licence
        front |= {"license": card.licence.lower()} if alone else {"license": "other", "license_name": card.licence}
    if tag := _task(network):
        front["pipeline_tag"] = tag
    front["tags"] = ["nnpipe"]
    text = io.StringIO()
    YAML().dump(front, text)
    return text.getvalue()


def _task(network: Network) -> str | None:
    """What the Hub calls it, where it has a word."""
    data = "image" if len(network.input_shape) == 3 else "tabular"
    if network.class_names:
        return f"{data}-classification"
    return "tabular-regression" if network.target_names and data == "tabular" else None


def _gives(network: Network) -> str:
    if network.code is not None:
        return f"It gives its inputs again, flattened; the outputs of layer {network.code} (from 0) are the code."
    names = network.class_names or network.target_names
    # As JSON: a name may hold whatever letters it likes.
    listed = _code(", ".join(json.dumps(name, ensure_ascii=False) for name in names[:MOST_NAMED]))
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    if network.class_names:
        outputs = "margins" if network.architecture.last_activation == "linear" else "probabilities"
        one = (
            " of the second" if len(names) == 2 and network.architecture.shapes(network.input_shape)[-1] == (1,) else ""
        )
        return f"It gives {outputs}{one} of {len(names)} classes: {listed}{more}."
    return f"It gives {len(names)} scaled numbers: {listed}{more}."


def _scaling(network: Network) -> str:
    offset, scale = network.scaling.offset, network.scaling.scale
    if isinstance(offset, tuple) or isinstance(scale, tuple):
        return "numbers of their own for each value of an example, in the model document inside the file"
    return f"offset {offset:g} and scale {scale:g}"


def _loading(files: Sequence[File]) -> Iterator[str]:
    yield "## How to load it\n\n`raw` are raw examples, `x` the same as scaled float32; `np` is NumPy."
    for file in files:
        yield f"{_code(file.name)}:\n\n```python\n{file.exporter.example(file.name)}\n```"
        if file.verification:
            told = file.verification.told()
            yield f"{told[0].upper()}{told[1:]}."


def _architecture(network: Network) -> str:
    architecture, shape = network.architecture, network.input_shape
    inputs = [architecture.first_shape(shape), *architecture.shapes(shape)]
    rows = [
        f"| {layer.kind} | {_by(gives)} | {_count(layer.parameters(reads))} |"
        for layer, reads, gives in zip(architecture.layers, inputs, inputs[1:], strict=False)
    ]
    whole = sum(parameter.numel() for parameter in network.parameters())
    return "\n".join(
        ["| Layer | Gives | Parameters |", "|---|---|---|", *rows, "", f"{whole:,} parameters in all are learnt."]
    )


def _data(network: Network, facts: Facts) -> str:
    if not facts.examples:
        return "Not known."
    splits = ", ".join(f"{count:,} {split}" for split, count in facts.examples.items() if count)
    classes = f" of {len(network.class_names)} classes" if network.class_names else ""
    return f"From the source {_code(facts.source)}. Examples{classes}: {splits}."


def _results(facts: Facts) -> str:
    if not facts.results:
        return "Not known."
    rows = [
        f"| {_line(measure).replace('|', ' ')} | {value:.4g} | {' to '.join(f'{end:.4g}' for end in ends or ())} |"
        for measure, value, ends in facts.results
    ]
    head = f"Of the network, on {facts.tested:,} test examples, from which nothing was learnt."
    return "\n".join([head, "", "| Measure | Value | 95 % interval |", "|---|---|---|", *rows])


def _provenance(facts: Facts) -> str:
    return "Content digests (SHA-256 of names, types, shapes and values):\n\n" + _listed(
        {what: _code(digest) for what, digest in facts.digests.items()}
    )


def _makers(card: Card) -> str:
    authors = ", ".join(map(_line, card.authors))
    said = {"licence": card.licence or "", "authors": authors, "contact": _line(card.contact)}
    return _listed({what: told or NOT_STATED for what, told in said.items()})


def _listed(items: Mapping[str, str]) -> str:
    return "\n".join(f"- {_line(what)}: {told}" for what, told in items.items()) or "Not known."


def _quoted(text: str) -> str:
    """A text of somebody's own as a quotation: whatever it holds ends with it, and none of it is HTML."""
    lines = html.escape(text, quote=False).splitlines()
    return "\n".join(f"> {line}".rstrip() for line in lines) if text.strip() else NOT_STATED


def _line(text: str) -> str:
    return html.escape(" ".join(text.split()), quote=False)


def _code(text: str) -> str:
    inside = " ".join(text.split()).replace("`", "'")
    return f"`{inside}`"


def _by(shape: tuple[int, ...]) -> str:
    return " by ".join(map(str, shape))


def _count(parameters: int | None) -> str:
    return "?" if parameters is None else f"{parameters:,}"
