from __future__ import annotations

import re
from typing import Any

import pytest

from nnpipe.stages.report_graph import HEIGHT, WIDTH, boxes_of, drawn


def stages(pretrained: int = 2, probes: int = 0) -> list[dict[str, Any]]:
    names = {"data": "ingest", **{f"pretrain/{n}": f"pretrain/{n}" for n in range(1, pretrained + 1)}}
    names |= {f"probe/{n}": f"probe/{n}" for n in range(probes)}
    names |= {"model": "finetune", "evaluation": "evaluate", "pictures": "visualize", "exports": "export"}
    return [{"input": key, "name": name, "seconds": 1.5, "earlier": False} for key, name in names.items()]


def test_arrows_lead_from_each_stage_to_those_that_read_it() -> None:
    _, arrows = boxes_of(stages())
    assert arrows == [
        ("ingest", "pretrain/1"),
        ("pretrain/1", "pretrain/2"),
        ("pretrain/2", "finetune"),
        ("finetune", "evaluate"),
        ("evaluate", "visualize"),
        ("visualize", "report"),
        ("evaluate", "export"),
        ("export", "report"),
    ]


def test_probes_are_one_box_with_their_times_added_up() -> None:
    boxes, arrows = boxes_of(stages(probes=3))
    (probes,) = (box for box in boxes if box.name == "probes")
    assert probes.seconds == 4.5
    assert {("pretrain/2", "probes"), ("probes", "visualize")} <= set(arrows)


def test_what_another_run_made_leads_to_the_training() -> None:
    boxes, arrows = boxes_of(stages(pretrained=0), started=True)
    assert ("another run", "finetune") in arrows
    assert next(box for box in boxes if box.name == "another run").earlier


@pytest.mark.parametrize("downwards", [False, True])
@pytest.mark.parametrize(("pretrained", "probes", "started"), [(0, 0, False), (4, 5, False), (1, 1, True)])
def test_boxes_lie_apart_and_inside_and_arrows_go_from_edge_to_edge(
    downwards: bool, pretrained: int, probes: int, started: bool
) -> None:
    boxes, arrows = boxes_of(stages(pretrained, probes), started=started)
    whole = drawn(boxes, arrows, downwards=downwards)
    places = {place["box"].name: (place["x"], place["y"]) for place in whole["boxes"]}
    assert len(places) == len(boxes)
    for name, (x, y) in places.items():
        assert 0 <= x <= whole["width"] - WIDTH
        assert 0 <= y <= whole["height"] - HEIGHT
        others = [place for other, place in places.items() if other != name]
        assert all(abs(x - a) >= WIDTH or abs(y - b) >= HEIGHT for a, b in others)
    for (before, _), path in zip(arrows, whole["arrows"], strict=True):
        start = tuple(map(int, re.findall(r"-?\d+", path)[:2]))
        x, y = places[before]
        assert start == ((x + WIDTH // 2, y + HEIGHT) if downwards else (x + WIDTH, y + HEIGHT // 2))


def test_a_telephone_shows_the_graph_in_its_full_width() -> None:
    whole = drawn(*boxes_of(stages(4, 5)), downwards=True)
    assert whole["width"] <= 358  # of 390 pixels, less the margins
