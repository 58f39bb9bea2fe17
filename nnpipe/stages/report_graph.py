"""The graph of a run's stages, laid out: which stands where, and which arrows lead from one to another.

An arrow that follows from others is left out: the report reads everything, and what it reads of the data came through
the network.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from nnpipe.stages.import_network import IMPORT

WIDTH, HEIGHT = 104, 44  # of a box, in pixels
ACROSS, DOWN = 136, 64  # from box to box where the graph runs to the right
LANE, STEP = 114, 76  # where it runs downwards
HEAD = 6  # of an arrow
MIDDLE, LEFT, RIGHT = 0, -1, 1  # lanes


@dataclass(frozen=True)
class Box:
    """A stage, or several of a kind. step: how many come before it; lane: 0 or beside it."""

    name: str
    step: int
    lane: int
    seconds: float | None
    earlier: bool = False


def boxes_of(stages: Sequence[Mapping[str, Any]], *, started: bool = False) -> tuple[list[Box], list[tuple[str, str]]]:
    """The boxes and arrows of ``stages`` (``input``, ``name``, ``seconds``, ``earlier``) and of the report.

    started: whether training began with what another run made.
    """
    by_input = {stage["input"]: stage for stage in stages}
    layers = [stage for name, stage in by_input.items() if name.startswith("pretrain/")]
    probes = [stage for name, stage in by_input.items() if name.startswith("probe/")]
    chain = [by_input["data"], *layers, by_input["model"], by_input["evaluation"], by_input["pictures"]]
    trained = 1 + len(layers)
    boxes = [_box(stage, step, MIDDLE) for step, stage in enumerate(chain)]
    boxes.append(Box("report", len(chain), MIDDLE, None))
    arrows = [(before.name, after.name) for before, after in pairwise(boxes)]
    boxes.append(_box(by_input["exports"], trained + 2, RIGHT))
    arrows += [(boxes[trained + 1].name, boxes[-1].name), (boxes[-1].name, "report")]
    if probes:
        seconds = [stage["seconds"] for stage in probes if stage["seconds"] is not None]
        earlier = all(stage["earlier"] for stage in probes)
        boxes.append(Box("probes", trained, LEFT, sum(seconds) if seconds else None, earlier))
        arrows += [(boxes[trained - 1].name, "probes"), ("probes", boxes[trained + 2].name)]
    if IMPORT in by_input:
        boxes.append(_box(by_input[IMPORT], trained - 1, RIGHT))
        arrows.append((IMPORT, boxes[trained].name))
    if started:
        boxes.append(Box("another run", trained - 1, RIGHT, None, earlier=True))
        arrows.append(("another run", boxes[trained].name))
    return boxes, arrows


def _box(stage: Mapping[str, Any], step: int, lane: int) -> Box:
    return Box(stage["name"], step, lane, stage["seconds"], stage["earlier"])


def drawn(boxes: Sequence[Box], arrows: Sequence[tuple[str, str]], *, downwards: bool) -> dict[str, Any]:
    """Where boxes (left upper corners) and arrows (SVG paths) are drawn, and the size of the whole in pixels."""
    first = min(box.lane for box in boxes)
    lanes, steps = max(box.lane for box in boxes) - first, max(box.step for box in boxes)
    places = {}
    for box in boxes:
        lane = box.lane - first
        places[box.name] = (lane * LANE, box.step * STEP) if downwards else (box.step * ACROSS, lane * DOWN)
    size = (lanes * LANE, steps * STEP) if downwards else (steps * ACROSS, lanes * DOWN)
    path = _down if downwards else _right
    return {
        "width": size[0] + WIDTH + 2,
        "height": size[1] + HEIGHT + 2,
        "boxes": [{"box": box, "x": places[box.name][0], "y": places[box.name][1]} for box in boxes],
        "arrows": [path(places[before], places[after]) for before, after in arrows],
        "downwards": downwards,
    }


def _right(before: tuple[int, int], after: tuple[int, int]) -> str:
    """From the right side of a box straight on, then in a bend to the left side of another."""
    x, y, end, to = before[0] + WIDTH, before[1] + HEIGHT // 2, after[0], after[1] + HEIGHT // 2
    bend = end - (ACROSS - WIDTH)
    curve = f"H{bend}C{bend + 16} {y} {end - 20} {to} {end} {to}" if y != to else f"H{end}"
    return f"M{x} {y}{curve}m{-HEAD} {-HEAD // 2 - 1}l{HEAD} {HEAD // 2 + 1}l{-HEAD} {HEAD // 2 + 1}"


def _down(before: tuple[int, int], after: tuple[int, int]) -> str:
    x, y, to, end = before[0] + WIDTH // 2, before[1] + HEIGHT, after[0] + WIDTH // 2, after[1]
    bend = end - (STEP - HEIGHT)
    curve = f"V{bend}C{x} {bend + 16} {to} {end - 20} {to} {end}" if x != to else f"V{end}"
    return f"M{x} {y}{curve}m{-HEAD // 2 - 1} {-HEAD}l{HEAD // 2 + 1} {HEAD}l{HEAD // 2 + 1} {-HEAD}"
