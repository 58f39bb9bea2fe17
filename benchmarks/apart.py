"""One benchmark in a process of its own, so that imports and memory of one do not disturb another.

    python -m benchmarks.apart MODULE OPTIONS OUT

OPTIONS is JSON; the outcome is written to the file OUT.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import time
import traceback
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from pydantic import TypeAdapter

from benchmarks import ROOT
from benchmarks.machine import load, machine
from benchmarks.measure import Absent, Options, Result

STDERR = 2  # where what libraries print is in nobody's way


@dataclass(frozen=True)
class Outcome:
    """What became of one benchmark, as it is kept.

    command: that measures it again. load: how busy the machine was when it began.
    result: None where it failed, or lacked something; ``problem`` and ``absent`` say why.
    """

    command: str = ""
    date: str = ""
    seconds: float = 0.0
    load: float = 0.0
    threads: int = 0
    machine: dict[str, str] = field(default_factory=dict)
    result: Result | None = None
    problem: str = ""
    absent: str = ""


OUTCOME = TypeAdapter(Outcome)


def run_apart(name: str, module: str, options: Options) -> Outcome:
    """Carry out a benchmark in a new process; if that fails, the outcome tells."""
    threads = str(options.threads)
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])),
        **dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), threads),
        "KERAS_BACKEND": "torch",
    }
    if "NNPIPE_DATA" in environment:  # where it may start from is not where benchmarks run
        environment["NNPIPE_DATA"] = str(Path(environment["NNPIPE_DATA"]).resolve())
    with TemporaryDirectory() as folder:
        out = Path(folder) / "outcome.json"
        words = [sys.executable, "-m", "benchmarks.apart", module, json.dumps(asdict(options)), str(out)]
        done = subprocess.run(words, cwd=ROOT, env=environment, stdout=STDERR, check=False)
        if not out.exists():
            outcome = Outcome(problem=f"its process ended with status {done.returncode}")
        else:
            outcome = OUTCOME.validate_json(out.read_bytes())
    return replace(outcome, command=_command(name, options))


def _command(name: str, options: Options) -> str:
    words = [f"python -m benchmarks --only {name}", f"--threads {options.threads}"]
    words += [f"--rounds {options.rounds}"] if options.rounds else []
    return " ".join([*words, "--quick"] if options.quick else words)


def measured(module: str, options: Options) -> Outcome:
    """Carry out a benchmark here."""
    started, busy = time.perf_counter(), load()
    result, problem, absent = None, "", ""
    try:
        result = importlib.import_module(module).run(options)
    except Absent as error:
        absent = str(error)
    except Exception as error:
        traceback.print_exc()
        problem = f"{type(error).__name__}: {error}"
    return Outcome(
        date=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        seconds=time.perf_counter() - started,
        load=busy,
        threads=options.threads,
        machine=machine(),
        result=result,
        problem=problem,
        absent=absent,
    )


if __name__ == "__main__":
    _, module, options, out = sys.argv
    Path(out).write_bytes(OUTCOME.dump_json(measured(module, Options(**json.loads(options)))))
