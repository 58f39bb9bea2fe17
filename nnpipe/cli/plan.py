"""``nnpipe plan``: what a run would do."""

from __future__ import annotations

import json

from nnpipe.cli.options import DEFAULT_STORE, AsJson, Force, Overrides, SpecFile, StoreFolder, Until


def plan(
    spec: SpecFile,
    overrides: Overrides = None,
    store: StoreFolder = DEFAULT_STORE,
    until: Until = None,
    force: Force = None,
    as_json: AsJson = False,
) -> None:
    """Show what a run would reuse, resume and compute."""
    from nnpipe import api
    from nnpipe.cli.text import SHORT, duration, table

    planned = api.plan(spec, set=overrides or (), store=store, until=until, force=force or ())
    stages = [stage.to_json() for stage in planned.stages]
    if as_json:
        print(json.dumps({"spec": planned.spec.name, "stages": stages}))
        return
    rows = [
        (s["name"], s["status"], (s["key"] or "-")[:SHORT], (s["artifact"] or "-")[:SHORT], duration(s["seconds"]))
        for s in stages
    ]
    print("\n".join(table(("stage", "status", "key", "artifact", "took"), rows, "<<<<>")))
    waiting = sum(stage["status"] != "reuse" for stage in stages)
    print(f"{waiting} of {len(stages)} stages to do" if waiting else "nothing to do")
