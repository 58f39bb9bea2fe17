"""What a process loads and how it ends: each test starts one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from nnpipe.cli import VERBS, application

HEAVY = {"numpy", "torch", "torchvision", "prefect", "sklearn", "matplotlib", "scipy", "h5py", "zarr"}
LIGHT = HEAVY | {"pydantic", "ruamel"}

PROGRAM = """
import sys
from nnpipe.cli import main
status = main(sys.argv[1:])
sys.stderr.write("\\n" + " ".join(sys.modules))
sys.exit(status)
"""


def loaded(folder: Path, *words: str) -> set[str]:
    command = [sys.executable, "-c", PROGRAM, *words]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    return {name.split(".")[0] for name in done.stderr.splitlines()[-1].split()}


def test_help_loads_only_typer_and_rich(tmp_path):
    assert not loaded(tmp_path, "--help") & LIGHT


@pytest.mark.parametrize(
    "words",
    [
        ("validate", "tiny.yaml", "-v"),
        ("plan", "tiny.yaml", "--set", "train.epochs=3"),
        ("why", "tiny.yaml", "report", "--set", "train.epochs=3"),
        ("diff", "tiny", "tiny"),
        ("run", "tiny.yaml"),
    ],
    ids=lambda words: words[0],
)
def test_planning_and_a_run_with_nothing_to_do_load_nothing_heavy(copied, words):
    assert not loaded(copied, *words) & (HEAVY | {"rich"})


def test_a_run_of_the_champion_loads_nothing_heavy_to_see_that_it_is_that(copied):
    words = ("run", "tiny.yaml", "--set", "promote=true")
    loaded(copied, *words)
    assert (copied / "artifacts/refs/tiny/champion").is_file()
    assert not loaded(copied, *words) & (HEAVY | {"rich"})


def test_importing_the_package_loads_nothing_of_it():
    program = "import sys, nnpipe; print(*(name for name in sys.modules if name.startswith('nnpipe')))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["nnpipe"]


def test_a_reader_that_goes_away_is_no_error_worth_a_message(here):
    command = [sys.executable, "-m", "nnpipe", "schema"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 1


ENDING = """
import atexit, sys, threading, time
from nnpipe import __main__ as process

class TakenApart:
    def __del__(self): print("taken apart")

def late():
    time.sleep(0.2)
    print("thread")

def verb():
    process.kept = TakenApart()
    atexit.register(print, "registered")
    threading.Thread(target=late).start()
    print("verb")
    return 3

process.main = verb
process.command()
"""


def test_a_process_ends_with_its_status_when_threads_and_callbacks_are_over_and_is_not_taken_apart():
    done = subprocess.run([sys.executable, "-c", ENDING], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (3, "")
    assert done.stdout.split() == ["verb", "thread", "registered"]


def test_the_command_line_is_of_one_verb_where_one_is_named_and_of_all_otherwise():
    def verbs(*words):
        return [command.callback.__name__ for command in application(words).registered_commands]

    assert verbs("plan", "tiny.yaml") == ["plan"]
    assert verbs() == verbs("--help") == verbs("plam") == [verb.__name__ for verb, _, _ in VERBS]
