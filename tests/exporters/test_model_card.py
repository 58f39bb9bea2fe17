"""What a model card tells, that whatever a spec says stays where it stands, and that its lines of Python run."""

from __future__ import annotations

import html
import re

import pytest
from markdown_it import MarkdownIt
from pydantic import ValidationError
from ruamel.yaml import YAML

from nnpipe.exporters import every_exporter
from nnpipe.exporters.card import Card
from nnpipe.exporters.model_card import Facts, File, model_card
from nnpipe.exporters.verification import Verification
from nnpipe.models.network import Network

EVERY = every_exporter()
HOSTILE = "---\nlicense: mit\n---\n# A heading\n```\n<script>alert(1)</script>\u2028## Another\n| a | b |"
FILES = [File("model.safetensors", every_exporter()["safetensors"])]


def parts(card: str) -> tuple[dict[str, object], dict[str, str]]:
    """The front matter, and the text under each heading of the second level."""
    _, front, text = card.split("---\n", 2)
    found = re.split(r"^## (.+)\n", text, flags=re.MULTILINE)
    return YAML(typ="safe").load(front), dict(zip(found[1::2], found[2::2], strict=True))


def test_what_is_not_stated_is_told_as_that(networks: dict[str, Network]) -> None:
    front, told = parts(model_card(networks["convnet"]))
    assert front == {"library_name": "nnpipe", "pipeline_tag": "image-classification", "tags": ["nnpipe"]}
    for name in ("Intended use", "Out of scope", "Limitations"):
        assert told[name].strip() == "Not stated."
    for name in ("Data", "Training", "Results"):
        assert told[name].strip() == "Not known."
    assert told["Who made it"].split("\n") == [
        "", "- licence: Not stated.", "- authors: Not stated.", "- contact: Not stated.", ""
    ]  # fmt: skip


def test_everything_known_is_told_in_its_place(networks: dict[str, Network]) -> None:
    facts = Facts(
        Card(title="Clothes", intended_use="Sorting.\n\nAnd *no more*.", licence="Apache-2.0", authors=("A", "B & C")),
        source="fashion_mnist",
        examples={"train": 60000, "validation": 0, "test": 10000},
        training={"loss": "cross_entropy"},
        results=[("Accuracy", 0.91234, (0.905, 0.92)), ("Macro F1", 0.9, None)],
        tested=10000,
        digests={"data": "ab" * 32},
    )
    card = model_card(networks["convnet"], facts)
    front, told = parts(card)
    assert front["license"] == "apache-2.0"
    assert "\n# Clothes\n" in card
    assert told["Intended use"].strip() == "> Sorting.\n>\n> And *no more*."
    assert told["Data"].strip() == "From the source `fashion_mnist`. Examples of 5 classes: 60,000 train, 10,000 test."
    assert told["Training"].strip() == "- loss: `cross_entropy`"
    assert "on 10,000 test examples" in told["Results"]
    assert "\n| Accuracy | 0.9123 | 0.905 to 0.92 |\n| Macro F1 | 0.9 |  |\n" in told["Results"]
    assert f"- data: `{'ab' * 32}`" in told["Provenance"]
    assert "- licence: Apache-2.0\n- authors: A, B &amp; C\n" in told["Who made it"]
    trained = sum(parameter.numel() for parameter in networks["convnet"].parameters())
    assert f"{trained:,} parameters in all" in told["Architecture"]
    assert model_card(networks["convnet"], facts) == card


def test_whatever_a_spec_says_neither_ends_the_front_matter_nor_makes_headings_or_html(
    networks: dict[str, Network],
) -> None:
    said = Card(
        title=HOSTILE, intended_use=HOSTILE, out_of_scope=HOSTILE, limitations=HOSTILE, authors=(HOSTILE,) * 2,
        contact=HOSTILE, licence="MIT OR (Apache-2.0 WITH LLVM-exception)",
    )  # fmt: skip
    facts = Facts(said, HOSTILE, {"test": 1}, {"loss": HOSTILE}, [(HOSTILE, 1.0, None)], 1, {"data": HOSTILE})
    card = model_card(networks["binary"], facts, FILES)
    front, told = parts(card)
    assert front["license"] == "other"
    assert front["license_name"] == said.licence
    assert list(told) == list(parts(model_card(networks["binary"], files=FILES))[1])
    tokens = MarkdownIt("commonmark").enable("table").parse(card.split("---\n", 2)[2])
    outside = [token for token in tokens if token.level == 0]
    headings = [
        (token.tag, tokens[tokens.index(token) + 1].content) for token in outside if token.type == "heading_open"
    ]
    assert [title for tag, title in headings if tag == "h1"] == [html.escape(" ".join(HOSTILE.split()), quote=False)]
    assert [title for tag, title in headings if tag != "h1"] == list(told)
    assert [token.info for token in outside if token.type == "fence"] == ["python"]
    assert sum(token.type == "blockquote_open" for token in outside) == 3, "each text is one quotation"
    assert not [token for token in outside if token.type in ("hr", "html_block", "code_block")]
    inside = [child for token in tokens for child in token.children or ()]
    assert not [token for token in (*tokens, *inside) if token.type.startswith("html")]
    rows = [line for line in told["Results"].splitlines() if line.startswith("|")]
    assert [line.count("|") for line in rows] == [4, 4, 4]


@pytest.mark.parametrize("licence", ["", "MIT\nlicense: other", "MIT: [", "{x}", "#", "a" * 201])
def test_a_licence_is_an_expression_of_spdx(licence: str) -> None:
    with pytest.raises(ValidationError):
        Card(licence=licence)


def test_a_file_is_told_by_its_own_name_with_what_running_it_gave(networks: dict[str, Network]) -> None:
    files = [
        File("it's.onnx", EVERY["onnx"], Verification(True, 90, 1e-6, 1.0, 0.9, 0.9)),
        File("a.keras", EVERY["keras"], Verification()),
    ]
    told = parts(model_card(networks["convnet"], files=files))[1]["How to load it"]
    assert "`it's.onnx`:\n\n```python\nimport onnxruntime\n" in told
    assert 'InferenceSession("it\'s.onnx")' in told
    assert "Verified on 90 test examples: " in told
    assert told.endswith("```\n\nNot verified.\n\n")
