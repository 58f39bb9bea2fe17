"""The benchmarks' arithmetic, table and files; what they measure takes an hour, and is not measured here."""

from __future__ import annotations

import gzip
import json
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from benchmarks import BENCHMARKS, ON_GPU
from benchmarks.__main__ import main
from benchmarks.measure import HEADINGS, Row, Target, Turn, take_turns
from benchmarks.page import BEGIN, END, heading
from nnpipe.cli import main as nnpipe

MADE = """\
from benchmarks.measure import Result, Row, Table, Target
def run(options):
    rows = (Row("a | b", "peer", "s", (2.0, 2.0, 9.0), (8.0, 4.0, 9.0), Target("times as fast", 3)),)
    return Result(f"On {options.threads} threads.", rows, (Table("Growth", ("size", "seconds"), (("1", "2"),)),))
"""
BROKEN = "def run(options):\n    raise ValueError('no such luck')\n"
DYING = "import os\ndef run(options):\n    os._exit(7)\n"


@pytest.mark.parametrize(
    ("unit", "target", "compared", "met"),
    [
        ("s", Target("times as fast", 2), (4.0, 2.0, 0.5), True),
        ("s", Target("times as long", 0.4), (0.25, 0.5, 2.0), False),
        ("s", Target("more", -1), (-3.0, -1.0, 1.0), True),
        ("s", Target("alone", 1), (1.0, 1.0, 2.0), True),
        ("images/s", Target("times as fast", 0.6), (0.25, 0.5, 2.0), False),
        ("images/s", Target("times as long", 2), (4.0, 2.0, 0.5), True),
        ("%", None, (4.0, 2.0, 0.5), None),
    ],
)
def test_each_round_is_compared_by_itself_and_the_median_of_rounds_is_judged(unit, target, compared, met):
    row = Row("work", "peer", unit, (1.0, 1.0, 2.0), (4.0, 2.0, 1.0), target)
    assert row.compared == compared
    assert row.met is met


def test_the_median_is_of_the_rounds_ratios_and_not_the_ratio_of_medians():
    row = Row("work", "peer", "s", (1.0, 2.0, 4.0), (4.0, 2.0, 6.0), Target("times as fast", 2))
    assert row.met is False  # the medians are 2 and 4
    assert row.cells()[5] == "1.5 times as fast (1 to 4)"
    assert row.cells()[6] == "no, off by 25%"


def test_a_peer_that_is_not_there_is_not_compared():
    row = Row("work", "peer", "s", (1.0,), target=Target("times as fast", 2), note="peer is not installed")
    assert row.met is None
    assert row.cells()[4:] == ("", "", "not compared", "peer is not installed")


def test_each_round_begins_with_another_competitor():
    order: list[tuple[str, int]] = []

    def competitor(name: str):
        def work(round_: int) -> Turn:
            order.append((name, round_))
            return Turn(float(len(order)))

        return work

    turns = take_turns({name: competitor(name) for name in "abc"}, 2)
    assert order == [("a", 0), ("b", 0), ("c", 0), ("b", 1), ("c", 1), ("a", 1)]
    assert [turn.figure for turn in turns["a"]] == [1.0, 6.0]


def test_every_benchmark_has_a_module():
    assert all(find_spec(module) for module in (BENCHMARKS | ON_GPU).values())


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the outcomes of four benchmarks are kept, two of which fail; ``status`` has the exit status."""
    folder = tmp_path_factory.mktemp("measured")
    patch = pytest.MonkeyPatch()
    with patch.context() as patched:
        patched.setenv("PYTHONPATH", str(folder))
        for name, code in (("broken", BROKEN), ("dying", DYING), ("made", MADE)):
            (folder / f"a_{name}.py").write_text(code)
            patched.setitem(BENCHMARKS, name, f"a_{name}")
        (folder / "performance.md").write_text(f"By hand.\n{BEGIN}\nold\n{END}\n{heading('made')}\n\nIts peer.\n")
        words = ["--only", "broken,dying,start_up,made", "--quick", "--rounds", "2", "--threads", "1"]
        (folder / "status").write_text(str(main([*words, "--out", str(folder)])))
    return folder


def test_a_benchmark_that_fails_is_told_and_does_not_stop_the_others(measured):
    found = json.loads((measured / "performance.json").read_text())
    assert found["broken"]["problem"] == "ValueError: no such luck"
    assert found["dying"]["problem"] == "its process ended with status 7"
    assert found["made"]["result"]["conditions"] == "On 1 threads."
    assert (measured / "status").read_text() == "1"


def test_every_figure_is_kept_with_machine_command_and_date(measured):
    found = json.loads((measured / "performance.json").read_text())["start_up"]
    (row,) = found["result"]["rows"]
    assert len(row["ours"]) == len(row["theirs"]) == 2
    assert 0 < min(row["theirs"]) < min(row["ours"])  # nnpipe --help takes longer than nothing
    assert found["machine"].keys() >= {"processor", "cores", "python", "versions"}
    assert found["command"] == "python -m benchmarks --only start_up --threads 1 --rounds 2 --quick"
    assert found["date"].endswith("UTC")


def test_the_page_has_a_table_between_its_marks_and_keeps_what_people_wrote(measured):
    page = (measured / "performance.md").read_text()
    before, _, rest = page.partition(BEGIN)
    generated, _, after = rest.partition(END)
    assert before == "By hand.\n"
    assert after == "\n### What limits made\n\nIts peer.\n"
    assert "old" not in generated
    lines = [line for line in generated.splitlines() if line.startswith("|")]
    assert lines[0] == f"| benchmark | {' | '.join(HEADINGS)} |"
    assert {line.count("|") for line in lines[:5]} == {len(HEADINGS) + 2}
    told = "| 2 s (2 to 9) | 8 s (4 to 9) | 2 times as fast (1 to 4) | no, off by 33% |"
    assert told in next(line for line in lines if line.startswith("| made | a / b | peer | 3 times as fast"))
    assert "| failed: ValueError: no such luck |" in generated
    assert "[What limits it](#what-limits-made)" in generated
    assert "| size | seconds |" in generated


def test_a_benchmark_that_is_measured_again_leaves_the_others_as_they_were(measured, tmp_path, monkeypatch, capsys):
    for name in ("performance.json", "performance.md"):
        (tmp_path / name).write_text((measured / name).read_text())
    (tmp_path / "a_made.py").write_text(MADE.replace("8.0, 4.0", "80.0, 40.0"))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setitem(BENCHMARKS, "made", "a_made")
    assert main(["--only", "made", "--out", str(tmp_path)]) == 0
    assert "20 times as fast" in capsys.readouterr().out
    old, new = (json.loads((folder / "performance.json").read_text()) for folder in (measured, tmp_path))
    assert old.pop("made") != new.pop("made")
    assert old == new


def test_an_unknown_name_is_a_mistake_that_names_those_there_are(capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["--only", "convent"])
    assert "there are convnet, rbm" in capsys.readouterr().err


def test_a_store_filled_for_measuring_is_what_verify_and_gc_take_for_one(tmp_path, capsys):
    from benchmarks.growth_of_store import fill
    from nnpipe.store.store import Store

    fill(Store(tmp_path), 130, size=250)
    assert nnpipe(["verify", "--store", str(tmp_path)]) == 0
    assert "130 artifacts are what was written" in capsys.readouterr().out
    assert nnpipe(["gc", "--dry-run", "--json", "--store", str(tmp_path)]) == 0
    # Of 13 runs of 10 artifacts the last 10 are kept, and the first of the first run by a ref.
    assert json.loads(capsys.readouterr().out)["kept"] == 101


def test_files_like_those_of_mnist_are_read_as_they_are(tmp_path):
    from benchmarks.data import write_mnist
    from nnpipe.datasets.idx import open_idx

    folder = write_mnist(tmp_path, 1000) / "mnist"
    images = open_idx(folder / "train-images-idx3-ubyte.gz", (3,))
    labels = gzip.decompress((folder / "t10k-labels-idx1-ubyte.gz").read_bytes())
    assert images.shape == (60, 28, 28)
    assert next(images.blocks(60)).max() == 255
    assert np.frombuffer(labels[8:], np.uint8).tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]


def test_simulated_workers_wait_as_queueing_theory_says():
    from benchmarks.queues import Costs, simulate

    costs = Costs(gate=0.5, driver=0.5, prefect=2.0)
    alone = simulate(1, 9.0, costs, rounds=10_000)
    assert alone.busy == pytest.approx(0.9, abs=0.005)  # nobody to wait for: 9 of 10 s
    assert alone.prefect == pytest.approx(0.2, abs=0.005)
    many = simulate(100, 9.0, Costs(gate=0.5, driver=0.1, prefect=2.0))
    assert many.stages == pytest.approx(2.0, rel=0.02)  # the gate serves two a second, and no more
    assert many.gate == pytest.approx(1.0, rel=0.02)
    assert many.busy == pytest.approx(2.0 * 9.0 / 100, rel=0.02)
