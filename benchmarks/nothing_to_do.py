"""A run with nothing to do, beside the same of dvc, snakemake and redun with as many empty stages in a chain.

Their stages have one empty file, or one number, each; nnpipe's are those of specs/digits.yaml, computed with one epoch.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import ROOT
from benchmarks.measure import Options, Result, Row, Target, Turn, figures, take_turns
from benchmarks.processes import NNPIPE, command, timed

ROUNDS = 15
WORK, OURS = "a run with nothing to do", "nnpipe run"
SHORT = ("--set", "pretrain.epochs=1", "--set", "train.epochs=1")
QUICK = ("--set", "visualize=[]", "--set", "export=[]")


@dataclass(frozen=True)
class Peer:
    """write: what it reads, of so many stages. prepare, words: commands. idle: what it says when it did nothing."""

    write: Callable[[Path, int], None]
    prepare: tuple[tuple[str, ...], ...]
    words: tuple[str, ...]
    idle: str


def _dvc(folder: Path, stages: int) -> None:
    made = {f"s{i}": {"cmd": f"touch o{i}", "outs": [f"o{i}"]} for i in range(stages)}
    for i in range(1, stages):
        made[f"s{i}"]["deps"] = [f"o{i - 1}"]
    (folder / "dvc.yaml").write_text(json.dumps({"stages": made}))  # JSON is YAML


def _snakemake(folder: Path, stages: int) -> None:
    rules = [f'rule all:\n    input: "o{stages - 1}"\n']
    for i in range(stages):
        read = f'    input: "o{i - 1}"\n' if i else ""
        rules.append(f'rule s{i}:\n{read}    output: "o{i}"\n    shell: "touch {{output}}"\n')
    (folder / "Snakefile").write_text("".join(rules))


def _redun(folder: Path, stages: int) -> None:
    chain = "0"
    lines = ["from redun import task", 'redun_namespace = "empty"']
    for i in range(stages):
        lines.append(f"@task()\ndef s{i}(x: int) -> int:\n    return x + 1")
        chain = f"s{i}({chain})"
    lines.append(f"@task()\ndef main() -> int:\n    return {chain}")
    (folder / "workflow.py").write_text("\n".join(lines) + "\n")


PEERS = {
    "dvc repro": Peer(
        _dvc,
        (("init", "--no-scm", "-q"), ("config", "core.check_update", "false")),
        ("repro",),
        "up to date",
    ),
    "snakemake": Peer(_snakemake, (), ("--cores", "1"), "Nothing to be done"),
    "redun run": Peer(_redun, (), ("run", "workflow.py", "main"), "Cached Job"),
}


def run(options: Options) -> Result:
    """All in turn, in folders of their own."""
    with TemporaryDirectory() as scratch:
        folder = Path(scratch)
        ours, stages = _nnpipe(folder, options)
        here = {name: path for name in PEERS if (path := command(name.split()[0]))}
        competitors = {OURS: ours}
        competitors |= {name: _peer(PEERS[name], path, folder / name, stages) for name, path in here.items()}
        turns = take_turns(competitors, options.rounds_or(ROUNDS))
    figures_of_ours = figures(turns[OURS])
    rows = [Row(f"{WORK}, {stages} stages", "", "s", figures_of_ours, target=Target("alone", 0.3))]
    for name in PEERS:
        note = "" if name in here else f"{name.split()[0]} is not installed: make peers"
        rows.append(Row(rows[0].work, name, "s", figures_of_ours, figures(turns.get(name, ())), note=note))
    about = (
        f"Whole processes, by the wall. Peers have {stages} stages in a chain that do nothing. Each had done all of it"
    )
    return Result(f"{about}, and said so in a run that is not counted.", tuple(rows))


def _nnpipe(folder: Path, options: Options) -> tuple[Callable[[int], Turn], int]:
    words: list[str | Path] = [*NNPIPE, "run", ROOT / "specs" / "digits.yaml", "--store", folder / "artifacts", *SHORT]
    words += QUICK if options.quick else ()
    timed([*words, "--engine", "local", "--quiet"], folder)

    def again(_: int) -> Turn:
        ended = timed(words, folder)
        return Turn(_checked(ended.seconds, ended.output, "reused"))

    told = timed([*words, "--json"], folder).output.splitlines()[-1]
    return again, len(json.loads(told)["stages"])


def _peer(peer: Peer, path: str, folder: Path, stages: int) -> Callable[[int], Turn]:
    folder.mkdir()
    peer.write(folder, stages)
    # Their own caches and settings are none of this user's; nobody is told of their use.
    quiet = {"HOME": str(folder), "DVC_NO_ANALYTICS": "1", "DO_NOT_TRACK": "1"}
    for words in (*peer.prepare, peer.words):
        timed([path, *words], folder, **quiet)

    def again(_: int) -> Turn:
        ended = timed([path, *peer.words], folder, **quiet)
        return Turn(_checked(ended.seconds, ended.output, peer.idle))

    again(0)
    return again


def _checked(seconds: float, output: str, idle: str) -> float:
    if idle not in output:
        raise RuntimeError(f"it should have had nothing to do, and said: {output.strip()[-300:]}")
    return seconds
