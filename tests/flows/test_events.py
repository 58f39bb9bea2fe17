from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from flows import events
from flows.events import tell_promotion
from nnpipe.pipeline.run import Run
from nnpipe.store.store import Store


def run(tmp_path: Path, promotion: Any) -> Run:
    return Run("a-run", "digits", "done", (), {"test_accuracy": 0.9}, None, 1.0, Store(tmp_path / "a"), promotion)


def test_a_promotion_is_an_event_and_nothing_else_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Any] = []
    monkeypatch.setattr(events, "emit_event", lambda event, resource, payload: told.append((event, resource, payload)))
    promotion = {"promoted": True, "champion": "b", "from": "a", "reasons": ["better"], "ref": "digits/champion"}
    tell_promotion(run(tmp_path, None))
    tell_promotion(run(tmp_path, {**promotion, "promoted": False}))
    assert told == []
    tell_promotion(run(tmp_path, promotion))
    ((event, resource, payload),) = told
    assert event == "nnpipe.champion.promoted"
    assert resource["prefect.resource.id"] == "nnpipe.champion.digits"
    assert (payload["run"], payload["champion"], payload["metrics"]) == ("a-run", "b", {"test_accuracy": 0.9})
