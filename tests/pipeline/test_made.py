"""What stages are said to have made, for every stage of a real run."""

from __future__ import annotations

from nnpipe.pipeline.made import made
from nnpipe.store.store import Store

from .conftest import run


def test_every_stage_says_in_a_line_what_it_made(store: Store) -> None:
    done = run(store)
    told = {stage.name: made(done.artifact(stage.name)) for stage in done.stages}
    assert told["ingest"] == "1,294 training, 144 validation and 359 test examples of 1×8×8, 10 classes"  # noqa: RUF001
    assert told["pretrain/1"].startswith("64 → 12 units by rbm, 1 epoch: ")
    assert (
        f"reconstruction error {done.artifact('pretrain/1').summary['reconstruction_error']:.4g}" in told["pretrain/1"]
    )
    assert told["finetune"].startswith("1,020 parameters, 2 epochs: accuracy ")
    assert f"loss {done.artifact('finetune').summary['loss']:.4g}" in told["finetune"]
    assert f"test accuracy {done.metrics['test_accuracy']:.4g}" in told["evaluate"]
    assert told["visualize"] == "learning curves"
    assert told["export"].startswith("safetensors (")
    assert told["report"] == "one HTML file with everything in it"


def test_probes_and_a_stage_that_is_not_known(store: Store) -> None:
    done = run(store, "probe=true", "visualize=[]", "export=[]", until="report")
    assert made(done.artifact("probe/1")).startswith("two probes of 12 features, ")
    assert made(done.artifact("visualize")) == "no pictures"
    assert made(done.artifact("export")) == "no files"
