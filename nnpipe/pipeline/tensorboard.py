"""TensorBoard event files of a run: measures of each epoch, learning rates, pictures. A failure to write ends no run.

A stage under way is written as it goes. One that was reused, or that went on from a checkpoint, is written whole from
its artifact when it ends: TensorBoard joins points in the order in which they stand in the file.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from nnpipe.errors import UsageError
from nnpipe.stages.work import Silent
from nnpipe.store.artifact import Artifact
from nnpipe.store.store import Store

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

    from nnpipe.pipeline.plan import Plan
    from nnpipe.pipeline.runtime import Runtime

UNTOLD = ("epoch", "seconds", "examples")  # of an epoch's record
FLUSH_SECONDS = 2  # TensorBoard itself looks for news every few seconds


def event_folder(store: Store, run: str) -> Path:
    """Where the event files of a run lie, or would lie."""
    return store.root / "tensorboard" / run


def event_files(plan: Plan, runtime: Runtime, run: str, artifact: Callable[[str], Artifact]) -> EventFiles | None:
    """What writes the event files of a run, where some are wanted."""
    wished = None if plan.nothing_to_do else plan.spec.log
    if (runtime.log or wished) != "tensorboard":
        return None
    return EventFiles(event_folder(plan.store, run), artifact)


class EventFiles(Silent):
    """An observer that writes ``STAGE/MEASURE`` and ``STAGE/learning_rate`` by epoch, and ``STAGE/PICTURE``.

    folder: made with the first thing that there is to write.
    artifact: opens what a stage made, once it is finished.

    Raises:
        UsageError: the package tensorboard is not installed.
    """

    def __init__(self, folder: Path, artifact: Callable[[str], Artifact]) -> None:
        if find_spec("tensorboard") is None:
            raise UsageError(
                "event files need the package tensorboard, which is not installed",
                where="log",
                hint="pip install 'nnpipe[tensorboard]', or --log none",
            )
        self._folder, self._artifact = folder, artifact
        self._opened: SummaryWriter | None = None
        self._failed, self._lock = False, Lock()
        self._from_the_first: set[str] = set()  # stages whose epochs are written as they go

    def epoch(self, stage: str, record: Mapping[str, float], epochs: int) -> None:
        if record["epoch"] == 1:
            self._from_the_first.add(stage)
        if stage in self._from_the_first:
            self._try(lambda: self._measures(stage, record))

    def finished(self, stage: str, status: str, seconds: float) -> None:
        if status in ("computed", "reused", "resumed"):
            self._try(lambda: self._made(stage))

    def close(self) -> None:
        """Flush everything to disk."""
        if self._opened:
            self._try(self._opened.close)

    def _try(self, write: Callable[[], None]) -> None:
        with self._lock:
            if self._failed:
                return
            try:
                write()
            except OSError as error:
                self._failed = True
                print(f"no more TensorBoard event files: {error}", file=sys.stderr)

    def _made(self, stage: str) -> None:
        artifact = self._artifact(stage)
        if "history.json" in artifact.manifest.files and stage not in self._from_the_first:
            history = artifact.json("history")
            for record in history["records"] if isinstance(history, dict) else history:
                self._measures(stage, record)
        for picture in artifact.json("pictures") if "pictures.json" in artifact.manifest.files else ():
            self._picture(f"{stage}/{picture['name']}", artifact.path(picture["file"]))

    def _measures(self, stage: str, record: Mapping[str, float]) -> None:
        for name, value in record.items():
            if name not in UNTOLD:
                self._writer().add_scalar(f"{stage}/{name}", value, int(record["epoch"]))

    def _picture(self, tag: str, path: Path) -> None:
        import numpy as np
        from PIL import Image

        with Image.open(path) as image:
            image.seek(getattr(image, "n_frames", 1) - 1)  # of a film, where it ends
            self._writer().add_image(tag, np.asarray(image.convert("RGB")), 0, dataformats="HWC")

    def _writer(self) -> SummaryWriter:
        if self._opened is None:
            from torch.utils.tensorboard import SummaryWriter

            self._opened = SummaryWriter(str(self._folder), flush_secs=FLUSH_SECONDS)
        return self._opened
