"""What Keras's formats share, and Keras in a process of its own.

Its backend is chosen once for a whole process, and it takes seconds to start. Only files of arrays go between the two
processes: nothing of nnpipe is there to help Keras.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, ClassVar

from nnpipe.errors import StageError
from nnpipe.exporters.exporter import WeightsExporter
from nnpipe.exporters.preprocessing import GraphExporter

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from nnpipe.models.architecture import Model

IN_KERAS = """
import sys
import keras
import numpy as np
model = keras.models.load_model(sys.argv[1], compile=False)
with np.load(sys.argv[2]) as batches:
    outputs = {name: model.predict_on_batch(batches[name]) for name in batches.files}
np.savez(sys.argv[3], **outputs)
"""


class KerasExporter(GraphExporter, WeightsExporter):
    """A format of Keras: nnpipe reads its weights back, and Keras runs it to verify it."""

    runs_apart: ClassVar[bool] = True

    def outputs(
        self, path: Path, batches: Sequence[np.ndarray], architecture: Model | None = None
    ) -> list[np.ndarray] | None:
        return keras_outputs(path, batches)

    def example(self, file: str) -> str:
        return (
            "import keras  # with any backend\n\n"
            f"model = keras.models.load_model({file!r})\n"
            f"outputs = model.predict(np.moveaxis({self.example_reads}, 1, -1))  # Keras has channels last"
        )


def keras_outputs(path: Path, batches: Sequence[np.ndarray]) -> list[np.ndarray] | None:
    """What the Keras file at ``path`` makes of each of ``batches``, channels first; None where Keras is not installed.

    Raises:
        StageError: Keras cannot run it.
    """
    if importlib.util.find_spec("keras") is None:
        return None
    import numpy as np

    with TemporaryDirectory() as folder:
        given, made = Path(folder, "x.npz"), Path(folder, "y.npz")
        arrays: dict[str, Any] = {str(number): np.moveaxis(batch, 1, -1) for number, batch in enumerate(batches)}
        np.savez(given, **arrays)
        # KERAS_HOME: no settings of the user's. -P: no module of the current folder.
        environment = {**os.environ, "KERAS_BACKEND": "torch", "KERAS_HOME": folder, "CUDA_VISIBLE_DEVICES": ""}
        command = [sys.executable, "-P", "-c", IN_KERAS, *map(str, (path.resolve(), given, made))]
        # In a session of its own, Ctrl-C is for us alone: the stage ends, and then the run.
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, check=False, start_new_session=True
        )
        if done.returncode:
            told = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
            raise StageError("Keras cannot run its file", where=path.name, found=told[-1])
        with np.load(made) as outputs:
            return [outputs[str(number)] for number in range(len(batches))]
