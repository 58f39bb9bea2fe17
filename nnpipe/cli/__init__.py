"""The command line: one file for each few verbs. Importing it loads typer and nothing else; verbs load what they need.

Exit statuses: 0 done; 1 a stage failed; 2 the spec or the command line is wrong; 3 the store is corrupt;
130 interrupted. A mistake of the user is told in a few lines on stderr, never as a traceback.
"""

from __future__ import annotations

import gc as garbage
import os
import shlex
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from nnpipe.cli import (
    export,
    gc,
    plan,
    predict,
    promote,
    report,
    reproduce,
    run,
    sample,
    schedule,
    serve,
    specs,
    store,
    sweep,
    transfer,
    verify,
    why,
)
from nnpipe.errors import Interrupted, NnpipeError, SpecError

DEBUG = "NNPIPE_DEBUG"


class Verbs(TyperGroup):
    """The verbs; Ctrl-C in any of them arrives in ``main`` as Interrupted."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise Interrupted("interrupted") from None


COMPUTE, LOOK, STORE, SPECS = "Compute", "Look at what there is", "Keep the store", "Specs"
VERBS = (
    (run.run, COMPUTE, "nnpipe run specs/digits.yaml --set train.epochs=3"),
    (sweep.sweep, COMPUTE, "nnpipe sweep specs/digits_sweep.yaml --jobs 2"),
    (schedule.schedule, COMPUTE, 'nnpipe schedule specs/digits.yaml --cron "0 3 * * *" --timezone Europe/Berlin'),
    (plan.plan, COMPUTE, "nnpipe plan specs/digits.yaml --set train.epochs=3"),
    (reproduce.reproduce, COMPUTE, "nnpipe reproduce digits/latest"),
    (export.export, COMPUTE, "nnpipe export digits --format onnx --out digits.onnx"),
    (predict.predict, COMPUTE, "nnpipe predict digits.onnx images/ --format csv"),
    (serve.serve, COMPUTE, "nnpipe serve digits/latest --port 8000"),
    (sample.sample, LOOK, "nnpipe sample digits-dbn --label 3 --out threes.png"),
    (store.ls, LOOK, "nnpipe ls"),
    (store.show, LOOK, "nnpipe show digits/latest"),
    (why.why, LOOK, "nnpipe why specs/digits.yaml finetune"),
    (why.diff, LOOK, "nnpipe diff digits mnist-dbn"),
    (report.report, LOOK, "nnpipe report digits --open"),
    (verify.verify, LOOK, "nnpipe verify"),
    (promote.champions, LOOK, "nnpipe champions digits"),
    (promote.promote, STORE, "nnpipe promote digits/latest"),
    (promote.rollback, STORE, "nnpipe rollback digits"),
    (gc.gc, STORE, "nnpipe gc --dry-run"),
    (gc.pin, STORE, "nnpipe pin digits/latest thesis"),
    (gc.unpin, STORE, "nnpipe unpin thesis"),
    (transfer.push, STORE, "nnpipe push digits/latest --to s3://bucket/nnpipe"),
    (transfer.pull, STORE, "nnpipe pull digits/latest --from s3://bucket/nnpipe"),
    (specs.init, SPECS, "nnpipe init"),
    (specs.validate, SPECS, "nnpipe validate specs/*.yaml"),
    (specs.schema, SPECS, "nnpipe schema > spec.schema.json"),
)


def _version(wanted: bool) -> None:
    if wanted:
        from nnpipe import __version__

        print(f"nnpipe {__version__}")
        raise typer.Exit


def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None: ...


def application(words: Sequence[str] = ()) -> typer.Typer:
    """The command line; where ``words`` begin with a verb, of that verb alone: to make all takes a 15th of a run."""
    app = typer.Typer(
        name="nnpipe",
        cls=Verbs,
        help="make for neural networks: computes what is new, reuses the rest.",
        epilog="Begin with: nnpipe init, then nnpipe run specs/digits.yaml",
        context_settings={"help_option_names": ["-h", "--help"]},
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode="rich",
        pretty_exceptions_enable=False,
    )
    app.callback()(_options)
    named = [entry for entry in VERBS if [entry[0].__name__] == list(words[:1])]
    for verb, panel, example in named or VERBS:
        app.command(rich_help_panel=panel, epilog=f"Example: {example}")(verb)
    return app


def main(arguments: list[str] | None = None) -> int:
    """Carry out a command line (by default the process's own) and return its exit status."""
    words = sys.argv[1:] if arguments is None else arguments
    garbage.set_threshold(
        50_000
    )  # imports make objects that stay: looking through them for garbage takes a 20th of a run
    # Or pydantic reads the metadata of every installed package to find them: a tenth of a run with nothing to do.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    try:
        application(words)(words, prog_name="nnpipe")
    except SystemExit as exit_:  # typer's way to end, with its own words for a wrong command line
        return _flushed(exit_.code if isinstance(exit_.code, int) else 0)
    except Interrupted:
        resumable = words[:1] in (["run"], ["sweep"], ["schedule"])
        again = f"; go on with: {shlex.join(['nnpipe', *words])}" if resumable else ""
        _tell(f"interrupted{again}")
        return Interrupted.exit_status
    except BrokenPipeError:
        return _flushed(1)
    except NnpipeError as error:
        for problem in error.problems if isinstance(error, SpecError) else [error]:
            _tell(f"error: {problem}")
        return error.exit_status
    except Exception as error:
        _tell(f"error: {type(error).__name__}: {error}\n  hint      {DEBUG}=1 shows where it happened")
        return 1
    return 0


def _tell(text: str) -> None:
    if os.environ.get(DEBUG):
        import traceback

        traceback.print_exc()
    print(text, file=sys.stderr)


def _flushed(status: int) -> int:
    """Write out what is left; a reader that went away is no error worth a message."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        # The interpreter flushes once more when it ends, and would complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return status
