"""Hooks: what else is done when a run is over, a command or a message over HTTP, as its spec says.

They run where the spec is run, by whoever runs it, and only then: never for a plan, a member of a sweep, a repair or a
reproduction. What becomes of them changes no run: a failure is a warning.
"""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, model_validator

from nnpipe.errors import NnpipeError
from nnpipe.spec import Part, problem
from nnpipe.store.canonical import JSON
from nnpipe.training.team import SIZE

if TYPE_CHECKING:
    from nnpipe.pipeline.plan import Plan

Event = Literal["success", "failure", "promotion"]
TOLD = 500  # characters of the output of a command that failed
TRIES = 2  # of a webhook
UNTOLD = ("whole_spec", "environment", "traceback")  # of the record of a run


class Hook(Part):
    """One thing to do: either a command or a webhook."""

    command: str | Annotated[tuple[str, ...], Field(min_length=1)] | None = Field(
        None,
        description="A program and its arguments, as a list or quoted as a shell has it; no shell runs it. It starts "
        "in the folder of the spec and is told of the run by NNPIPE_EVENT, NNPIPE_RUN, NNPIPE_SPEC and others.",
    )
    webhook: str | None = Field(
        None,
        pattern=r"^(https?://\S+|\$[A-Za-z_][A-Za-z0-9_]*)$",
        description="An address, http or https, that is sent JSON of the run by POST; or $NAME, an environment "
        "variable that holds one, for addresses that nobody else should know.",
    )
    timeout: float = Field(60.0, gt=0, description="Seconds after which it is given up.")

    @property
    def arguments(self) -> list[str]:
        """The command as a list."""
        return shlex.split(self.command) if isinstance(self.command, str) else list(self.command or ())

    @model_validator(mode="after")
    def _check(self) -> Hook:
        if (self.command is None) == (self.webhook is None):
            found = "neither" if self.command is None else "both"
            raise problem("a hook does one thing", expected="command or webhook", found=found)
        try:
            words = self.arguments
        except ValueError as error:
            raise problem("not a command", path=("command",), expected="quotes in pairs", found=str(error)) from error
        if self.command is not None and not (words and words[0]):
            raise problem("an empty command", path=("command",), expected="a program", found=repr(self.command))
        return self


class Hooks(Part):
    """What is done when a run is over."""

    success: tuple[Hook, ...] = Field((), description="When all went well, promoted or not.")
    failure: tuple[Hook, ...] = Field((), description="When a stage failed; not when somebody stopped the run.")
    promotion: tuple[Hook, ...] = Field((), description="When the network of the run became champion, after success.")


def after(plan: Plan, record: Mapping[str, JSON]) -> list[str]:
    """Do what is to be done when a run is over; a warning for each hook that failed, told on stderr too.

    record: of the run, as it is kept.
    """
    hooks, promotion = plan.spec.hooks, record["promotion"]
    told = {name: value for name, value in record.items() if name not in UNTOLD}
    told["store"] = plan.store.place
    happened: dict[Event, bool] = {
        "success": record["status"] == "done",
        "failure": record["status"] == "failed",
        "promotion": bool(promotion and promotion["promoted"]),
    }
    return [warning for event in happened if happened[event] for warning in _carry_out(hooks, event, told, plan.root)]


def _carry_out(hooks: Hooks, event: Event, told: Mapping[str, JSON], root: Path) -> Iterator[str]:
    for number, hook in enumerate(getattr(hooks, event), start=1):
        try:
            if hook.command is not None:
                _command(hook, {**_surroundings(), **environment(event, told)}, root)
            else:
                _webhook(hook, {"event": event, **told})
        except (NnpipeError, OSError, ValueError) as error:
            warning = f"hooks.{event}, number {number}: {error.what if isinstance(error, NnpipeError) else error}"
            print(f"warning: {warning}", file=sys.stderr)
            yield warning


def environment(event: Event, told: Mapping[str, JSON]) -> dict[str, str]:
    """What a command is told of a run, by environment variables."""
    return {
        "NNPIPE_EVENT": event,
        "NNPIPE_RUN": told["run"],
        "NNPIPE_SPEC": told["spec"],
        "NNPIPE_STATUS": told["status"],
        "NNPIPE_STORE": told["store"],
        "NNPIPE_METRICS": json.dumps(told["metrics"]),
        "NNPIPE_REPORT": told["report"] or "",
        "NNPIPE_ERROR": told["error"] or "",
        "NNPIPE_PROMOTION": json.dumps(told["promotion"]),
    }


def _surroundings() -> dict[str, str]:
    """The environment, but for what would make a run that is started in it wait for other processes to train with."""
    return {name: value for name, value in os.environ.items() if name != SIZE}


def _command(hook: Hook, environment: Mapping[str, str], root: Path) -> None:
    # Output goes to a file: a grandchild that keeps a pipe open would keep us waiting after a timeout.
    with TemporaryFile() as output:
        process = subprocess.Popen(
            hook.arguments,
            cwd=root,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            status = process.wait(hook.timeout)
        except subprocess.TimeoutExpired:
            raise NnpipeError(f"{hook.arguments[0]} took more than {hook.timeout:g} s and was ended") from None
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        if status:
            output.seek(max(0, output.seek(0, os.SEEK_END) - TOLD))
            said = output.read().decode(errors="replace").strip()
            raise NnpipeError(f"{hook.arguments[0]} ended with status {status}" + (f": {said}" if said else ""))


def _webhook(hook: Hook, message: JSON) -> None:
    from http.client import HTTPException
    from urllib.request import Request, urlopen

    address = _address(hook.webhook or "")
    data, headers = json.dumps(message).encode(), {"Content-Type": "application/json", "User-Agent": "nnpipe"}
    for again in reversed(range(TRIES)):
        try:
            with urlopen(Request(address, data, headers, method="POST"), timeout=hook.timeout):
                return
        except (OSError, HTTPException) as error:  # an answer that tells an error is an OSError too
            if not again:
                raise NnpipeError(f"{hook.webhook}: {error}") from error


def _address(webhook: str) -> str:
    if not webhook.startswith("$"):
        return webhook
    address = os.environ.get(webhook[1:], "")
    if not address.startswith(("http://", "https://")):
        raise NnpipeError(f"{webhook} holds no address", expected="http:// or https://")
    return address
