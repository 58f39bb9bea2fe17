"""The memo: what one process learns is not lost when another writes what it learnt."""

from __future__ import annotations

from pathlib import Path

from nnpipe.store.memo import Memo
from nnpipe.store.store import Store


def test_what_others_kept_meanwhile_stays(tmp_path: Path) -> None:
    one, other = (Memo(tmp_path / "memo.json") for _ in range(2))
    one.put("a", 1)
    other.put("b", 2)
    one.save()
    other.save()
    assert [Memo(tmp_path / "memo.json").get(key) for key in "ab"] == [1, 2]
    assert other.get("a") == 1


def test_nothing_is_written_where_nothing_was_learnt(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.prepare()
    store.remember()
    assert not (tmp_path / "memo.json").exists()
    store.memo.put("a", 1)
    assert store.memo.changed
    store.remember()
    assert not store.memo.changed


def test_a_damaged_memo_is_an_empty_one(tmp_path: Path) -> None:
    for text in ("{", "[1]", "3"):
        (tmp_path / "memo.json").write_text(text)
        assert Memo(tmp_path / "memo.json").get("a") is None
