"""Events for Prefect, which its automations can wait for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prefect.events import emit_event

if TYPE_CHECKING:
    from nnpipe.pipeline.run import Run

PROMOTED = "nnpipe.champion.promoted"


def tell_promotion(run: Run) -> None:
    """Emit ``nnpipe.champion.promoted`` if the network of a run became champion. Called in a flow; waits for nobody."""
    promotion = run.promotion
    if promotion and promotion["promoted"]:
        resource = {"prefect.resource.id": f"nnpipe.champion.{run.spec}", "prefect.resource.name": promotion["ref"]}
        told = {name: promotion[name] for name in ("champion", "from", "reasons")}
        emit_event(PROMOTED, resource, payload={"run": run.run, "metrics": dict(run.metrics), **told})
