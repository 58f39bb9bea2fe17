"""Computing one stage: its function is called with its inputs, and what it fills is committed to the store.

Whether a stage has to be computed, ``Execution`` knows, who holds the lock of its key meanwhile.
"""

from __future__ import annotations

import errno
import importlib
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import Event

from nnpipe.errors import DataError, NnpipeError, StageError
from nnpipe.pipeline.event_log import warn
from nnpipe.pipeline.graph import Stage
from nnpipe.pipeline.plan import Plan
from nnpipe.pipeline.recipe import source_digest
from nnpipe.pipeline.runtime import Runtime
from nnpipe.stages.finetune import Finetune
from nnpipe.stages.work import Observer, Work
from nnpipe.store.artifact import Artifact
from nnpipe.store.canonical import JSON
from nnpipe.store.checkpoints import DiskCheckpoints
from nnpipe.store.durable import no_room
from nnpipe.store.output import Output
from nnpipe.store.record import Record
from nnpipe.training.team import Team


class Unforeseen(StageError):
    """A stage failed that did not say so in our words. traceback: where."""

    traceback = ""


@dataclass(frozen=True)
class Computation:
    """A stage that is computed as a part of a run.

    ingredients: its recipe, of which ``key`` is the digest.
    inputs: the name of an input -> artifact.
    run: the name of the run; environment: what its results are made with.
    stopping: set it to stop: the stage keeps a checkpoint.
    """

    stage: Stage
    key: str
    ingredients: JSON
    inputs: Mapping[str, Artifact]
    plan: Plan
    runtime: Runtime
    run: str
    environment: JSON
    observer: Observer
    stopping: Event

    def carry_out(self) -> Record:
        """Compute the artifact and commit it, beginning from the last checkpoint if there is one.

        Raises:
            NnpipeError: it failed, Unforeseen if not in our words; nothing of it is in the store.
            CorruptionError: an input is damaged.
            Interrupted: somebody asked to stop; its checkpoint is kept.
        """
        stage, store = self.stage, self.plan.store
        module, _, name = stage.function.partition(":")
        began, at = time.monotonic(), datetime.now(UTC).isoformat(timespec="seconds")
        with store.output(self.key) as output:
            work = self._work(output)
            self.runtime.prepare()
            self._call(getattr(importlib.import_module(module), name), work)
            self._check_source()
            made = {
                "run": self.run,
                "at": at,
                "seconds": time.monotonic() - began,
                "device": work.device,
                "processes": work.team.size if work.team else 1,
                "environment": self.environment,
                "precision": [str(decision) for decision in self.plan.decisions],
                "inputs": self._input_ids,
                "timings": work.timings,
            }
            return store.commit(output, self.key, stage.name, self.ingredients, made)

    @property
    def _input_ids(self) -> dict[str, str]:
        return {name: artifact.id for name, artifact in self.inputs.items()}

    def _work(self, output: Output) -> Work:
        """What the function is handed."""
        stage, runtime, device = self.stage, self.runtime, self.runtime.resolve_device()
        work = Work(
            stage=stage.name,
            inputs=self.inputs,
            output=output,
            seed=stage.seed,
            root=self.plan.root,
            checkpoints=DiskCheckpoints(self.plan.store.workplace(self.key), runtime.checkpoint_interval),
            device=device,
            memory=runtime.resolve_memory(device),
            observer=self.observer,
            stopping=self.stopping,
            team=self._team(),
        )
        if work.team:
            ingredients, inputs = self.ingredients, self._input_ids
            work.task = {"stage": stage.name, "key": self.key, "ingredients": ingredients, "inputs": inputs}
        return work

    def _team(self) -> Team | None:
        """The processes that share the stage; None where this one does it alone."""
        team, config = self.runtime.team, self.stage.config
        if team is None or not isinstance(config, Finetune):
            return None
        if config.alone:
            warn(f"{self.stage.name} is done by one process of {team.size}: {config.alone}")
            return None
        return team

    def _call(self, function: Callable[[object, Work], None], work: Work) -> None:
        try:
            function(self.stage.config, work)
        except NnpipeError:
            raise
        except Exception as error:
            if isinstance(error, OSError) and error.errno == errno.ENOSPC:
                raise no_room(work.output.directory) from error
            failed = Unforeseen(
                f"stage {self.stage.name} failed: {type(error).__name__}: {error}",
                where=str(self.plan.store.runs.path(self.run)),
                hint="the whole traceback is in that file; finished stages are kept",
            )
            failed.traceback = traceback.format_exc()
            raise failed from error

    def _check_source(self) -> None:
        source, plan = self.stage.source, self.plan
        if source is None:
            return
        if source_digest(source, plan.root, plan.store.memo) != self.ingredients["inputs"]["files"]:
            hint = "run again; put whole files there at once: write them elsewhere, then rename"
            raise DataError("the data changed while they were read", where=f"stage {self.stage.name}", hint=hint)
