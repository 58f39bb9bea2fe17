"""A collection while a run is under way."""

from __future__ import annotations

import os

from nnpipe.pipeline.execute import Execution
from nnpipe.pipeline.runtime import Runtime
from nnpipe.store.collect import Policy, collect
from nnpipe.store.store import Store
from tests.pipeline.conftest import plan


def test_a_collection_after_every_stage_takes_nothing_that_the_run_needs(store: Store) -> None:
    del store.refs["miniature/latest"]
    for path in (store.root / "objects").glob("*/*"):
        os.utime(path, (0, 0))
    execution = Execution(plan(store, "train.epochs=3"), Runtime(device="cpu", threads=1))
    for planned in execution.plan.stages:
        execution.execute(planned.stage.name)
        collect(store, Policy(keep_runs=0, grace=0))
        assert all(store.find(result.key) for result in execution.results.values())
    execution.finish()
    assert not list((store.root / "live").iterdir())
