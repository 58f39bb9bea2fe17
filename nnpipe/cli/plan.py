"""``nnpipe plan``: what a run would do."""

from __future__ import annotations

import json
from typing import Any

from nnpipe.cli.options import DEFAULT_STORE, AsJson, Force, Overrides, SpecFile, StorePlace, Until, WhereTo


def plan(
    spec: SpecFile,
    overrides: Overrides = None,
    store: StorePlace = DEFAULT_STORE,
    until: Until = None,
    force: Force = None,
    device: WhereTo = "auto",
    as_json: AsJson = False,
) -> None:
    """Show what a run would reuse, resume and compute."""
    from nnpipe import api
    from nnpipe.cli.text import SHORT, duration, folded, table

    planned = api.plan(spec, set=overrides or (), store=store, until=until, force=force or (), device=device)
    stages = [stage.to_json() for stage in planned.stages]
    if as_json:
        decisions = [decision.to_json() for decision in planned.decisions]
        print(json.dumps({"spec": planned.spec.name, "stages": stages, "start": planned.start, "precision": decisions}))
        return
    rows = [
        (s["name"], s["status"], (s["key"] or "-")[:SHORT], (s["artifact"] or "-")[:SHORT], duration(s["seconds"]))
        for s in stages
    ]
    print("\n".join(table(("stage", "status", "key", "artifact", "took"), rows, "<<<<>")))
    print(*(f"{line}\n" for line in (*start_told(planned.start), *folded(planned.decisions))), sep="", end="")
    waiting = sum(stage["status"] != "reuse" for stage in stages)
    print(f"{waiting} of {len(stages)} stages to do" if waiting else "nothing to do")


def start_told(start: dict[str, Any] | None) -> list[str]:
    """Where first weights come from, if the spec says something of it."""
    from nnpipe.cli.text import SHORT

    if start is None:
        return []
    found = start["artifact"]
    told = f"the weights of {start['from']}, {found[:SHORT]}" if found else f"fresh weights: no {start['from']} yet"
    return [f"finetune starts from {told}"]
