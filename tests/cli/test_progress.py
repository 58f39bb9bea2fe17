from __future__ import annotations

import io
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
from rich.console import Console

from nnpipe.cli.live import Tree
from nnpipe.cli.progress import Lines, watching

RECORD = {"epoch": 3, "loss": 0.0421, "accuracy": 0.9871, "val_loss": 0.035, "val_accuracy": 0.9886}
RECORD |= {"learning_rate": 0.001, "seconds": 43.0, "examples": 60_000}
EPOCH = "epoch 3/10 - 43s - 717us/sample - loss: 0.0421 - accuracy: 0.9871 - val_loss: 0.0350 - val_accuracy: 0.9886"


def plan(*statuses: str) -> SimpleNamespace:
    names = ("ingest", "finetune", "report")
    stages = [
        SimpleNamespace(status=status, stage=SimpleNamespace(name=name, epochs=epochs))
        for name, epochs, status in zip(names, (0, 10, 0), statuses, strict=True)
    ]
    return SimpleNamespace(stages=stages, nothing_to_do=set(statuses) == {"reuse"})


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_plain_lines_are_one_a_stage_and_one_an_epoch():
    stream = io.StringIO()
    with watching(plan("reuse", "compute", "compute"), stream, quiet=False) as observer:
        observer.started("ingest")
        observer.finished("ingest", "reused", 0.01)
        observer.started("finetune")
        observer.advanced("finetune", 100, 60_000, {"loss": 0.5})
        observer.epoch("finetune", RECORD, 10)
        observer.finished("finetune", "computed", 432.0)
    assert stream.getvalue().splitlines() == [
        "ingest    reused",
        f"finetune  {EPOCH}",
        "finetune  computed  7m 12s",
    ]


@pytest.mark.parametrize("statuses", [("reuse", "compute", "compute"), ("reuse", "reuse", "reuse")])
def test_a_quiet_run_tells_nothing(statuses):
    stream = Terminal()
    with watching(plan(*statuses), stream, quiet=True) as observer:
        observer.started("ingest")
        observer.finished("ingest", "reused", 0.0)
    assert stream.getvalue() == ""


def test_a_terminal_is_drawn_on_only_if_something_is_computed(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    for statuses, kind in ((("reuse", "reuse", "reuse"), Lines), (("reuse", "compute", "compute"), Tree)):
        with watching(plan(*statuses), Terminal(), quiet=False) as observer:
            assert isinstance(observer, kind)
    monkeypatch.setenv("TERM", "dumb")
    with watching(plan("reuse", "compute", "compute"), Terminal(), quiet=False) as observer:
        assert isinstance(observer, Lines)


def test_lines_fall_silent_when_nobody_reads():
    class Gone(io.StringIO):
        def write(self, _: str) -> int:
            raise BrokenPipeError

    lines = Lines(Gone(), 8)
    lines.finished("ingest", "reused", 0.0)
    lines.finished("finetune", "computed", 1.0)


def shown(tree: Tree, width: int) -> list[str]:
    console = Console(file=io.StringIO(), width=width, color_system=None, force_terminal=False)
    console.print(tree.draw())
    return console.file.getvalue().splitlines()


@pytest.fixture
def ticking(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Moves the clock of the tree by seconds."""
    now = [1000.0]
    monkeypatch.setattr("nnpipe.cli.live.time.monotonic", lambda: now[0])

    def tick(seconds: float) -> None:
        now[0] += seconds

    return tick


@pytest.mark.parametrize("width", [40, 80, 200])
def test_the_tree_shows_every_state_and_fits_any_width(width, ticking):
    tree = Tree(plan("reuse", "compute", "compute"), Console(file=Terminal(), width=width))
    tree.started("ingest")
    tree.finished("ingest", "reused", 0.1)
    tree.started("finetune")
    tree.epoch("finetune", RECORD, 10)
    ticking(10)
    tree.advanced("finetune", 30_000, 60_000, {"loss": 0.25, "accuracy": 0.9})
    lines = shown(tree, width)
    assert max(map(len, lines)) <= width
    assert lines[0].split() == ["✓", "ingest", "reused"]
    assert lines[1].split()[1:] == ["finetune", "10s"]
    # Half of epoch 4 at 3,000 examples/s leaves 10 s of it and 20 s of each of the six after it.
    assert lines[2].split()[:2] == ["epoch", "4/10"]
    assert lines[2].split()[-3:] == ["50%", "3,000/s", "2:10"]
    assert lines[3].split() == ["loss", "0.2500", "accuracy", "0.9000"]
    assert lines[4].split() == ["·", "report"]


def test_a_resumed_stage_shows_no_epoch_before_its_first_record():
    tree = Tree(plan("reuse", "resume", "compute"), Console(file=Terminal(), width=80))
    tree.started("finetune")
    tree.advanced("finetune", 40_000, 60_000, {})
    assert "epoch" not in "\n".join(shown(tree, 80))
    tree.epoch("finetune", RECORD, 10)
    tree.advanced("finetune", 100, 60_000, {})
    assert "epoch 4/10" in "\n".join(shown(tree, 80))


def test_the_terminal_keeps_finished_epochs_above_the_tree(monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    stream = Terminal()
    with Tree(plan("reuse", "compute", "compute"), Console(file=stream, force_terminal=True, width=200)) as tree:
        tree.started("finetune")
        tree.epoch("finetune", RECORD, 10)
        tree.finished("finetune", "failed", 2.0)
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", stream.getvalue())
    assert f"finetune  {EPOCH}" in plain
    assert re.search(r"✗ finetune failed +2\.0s", plain)
    assert not re.search(r"\x1b\[[0-9;]*3[0-7]m", stream.getvalue())


def test_several_threads_may_tell_at_once():
    stream = Terminal()
    with (
        Tree(plan("compute", "compute", "compute"), Console(file=stream, force_terminal=True, width=200)) as tree,
        ThreadPoolExecutor(3) as pool,
    ):

        def work(stage: str) -> None:
            tree.started(stage)
            for epoch in range(1, 21):
                tree.advanced(stage, 50, 100, {"loss": 0.5})
                tree.epoch(stage, {**RECORD, "epoch": epoch}, 20)
            tree.finished(stage, "computed", 1.0)

        list(pool.map(work, ("ingest", "finetune", "report")))
    assert len(re.findall(r"epoch \d+/20 - ", stream.getvalue())) == 60
