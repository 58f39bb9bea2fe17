"""A trained network as a file holds it, and what it says of raw examples; of an ONNX file without torch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nnpipe.errors import DataError, NnpipeError, UsageError
from nnpipe.exporters import exporter_of
from nnpipe.exporters.exporter import WeightsExporter
from nnpipe.exporters.preprocessing import in_units
from nnpipe.models.architecture import Model
from nnpipe.models.scaling import Scaling
from nnpipe.prediction.document import checked_document

if TYPE_CHECKING:
    import numpy as np

    from nnpipe.exporters.exporter import Run

AT_ONCE = 1 << 26  # values of all examples at one place of the network


@dataclass(frozen=True)
class TrainedModel:
    """A network that can be asked.

    names: of the columns of what ``predict`` gives: classes, targets, or ``squared_error`` of an autoencoder.
    classes: whether they are classes.
    last_activation: what the outputs went through.
    code: whether it is an autoencoder.
    reads_raw: whether ``run`` scales by itself, what it reads and what it gives.
    at_once: how many examples ``run`` is given at a time, so that memory is bounded; outputs: of one of them.
    """

    input_shape: tuple[int, ...]
    scaling: Scaling
    names: tuple[str, ...]
    classes: bool
    target_scaling: Scaling
    last_activation: str
    code: bool
    reads_raw: bool
    at_once: int
    outputs: int
    run: Run

    def predict(self, raw: np.ndarray) -> np.ndarray:
        """What the network says of ``raw`` (n, *input_shape), as data has it, not scaled: (n, len(names)) float32.

        Of classes probabilities, or margins where a hinge loss taught linear outputs; of numbers to learn the numbers
        in the data's units; of an autoencoder the squared error of each example, summed over its scaled values.

        Raises:
            DataError: some are not finite, as of values far from those that it learnt from.
        """
        import numpy as np

        with np.errstate(all="ignore"):  # what overflows is told below
            starts = range(0, max(1, len(raw)), self.at_once)
            scores = np.concatenate([self._scores(raw[start : start + self.at_once]) for start in starts])
        if not np.isfinite(scores).all():
            row = int(np.argmin(np.isfinite(scores).all(axis=1)))
            raise DataError(
                "the network has no finite answer",
                where=f"example {row}",
                expected="values like those that it learnt from",
                found=f"values from {raw[row].min():g} to {raw[row].max():g}",
            )
        return scores

    def _scores(self, raw: np.ndarray) -> np.ndarray:
        """What ``predict`` gives, of so many examples as ``run`` takes at a time."""
        import numpy as np

        x = np.ascontiguousarray(self.scaling.apply(raw), np.float32)
        with _explained("the network cannot be run on these examples"):
            outputs = self.run(np.ascontiguousarray(raw, np.float32) if self.reads_raw else x)
        if outputs.shape != (len(x), self.outputs):
            expected, found = f"shape {(len(x), self.outputs)}", f"shape {outputs.shape}"
            raise DataError("the network does not give what its file says", expected=expected, found=found)
        if self.code:
            if self.reads_raw:
                outputs = self.scaling.apply(outputs.reshape(x.shape)).reshape(outputs.shape)
            return np.asarray(np.square(outputs - x.reshape(len(x), -1)).sum(axis=1, keepdims=True))
        if not self.classes:
            return outputs if self.reads_raw else in_units(self.target_scaling, outputs)
        if outputs.shape[1] == 1:  # of one unit both classes are told
            return np.concatenate([-outputs if self.last_activation == "linear" else 1 - outputs, outputs], axis=1)
        return outputs

    def classify(self, scores: np.ndarray) -> np.ndarray:
        """The class of each example, (n,) int64, from what ``predict`` gave."""
        import numpy as np

        return np.asarray(scores.argmax(axis=1))

    def told(self, scores: np.ndarray) -> dict[str, Any]:
        """One row of what ``predict`` gave as JSON: ``class`` and ``probabilities``, or ``values``, by name."""
        numbers = {name: round(float(value), 8) for name, value in zip(self.names, scores, strict=True)}
        if not self.classes:
            return {"values": numbers}
        return {"class": self.names[int(self.classify(scores[None])[0])], "probabilities": numbers}


def open_model(path: Path, architecture: Model | None = None) -> TrainedModel:
    """The trained network in the file at ``path``, whichever format of ``nnpipe export`` it is in.

    architecture: the caller's own, where the network has layers of the user's own.

    Raises:
        DataError: the file is damaged, is no network of nnpipe's, or could run something.
        UsageError: there is no such file or format, or nothing here runs it.
    """
    exporter = exporter_of(path)
    about = exporter.about(path)
    document = checked_document(about, path)  # before it is run: it refuses what must not be
    with _explained("the file cannot be run", str(path)):
        run = exporter.load(path, architecture)
    if run is None:
        raise UsageError(
            f"nothing here runs {exporter.kind} files",
            where=str(path),
            hint="onnx, safetensors and weights_h5 files hold the same network and can be asked",
        )
    code = document.code is not None
    return TrainedModel(
        input_shape=document.input_shape,
        scaling=document.scaling,
        names=("squared_error",) if code else document.class_names or document.target_names,
        classes=bool(document.class_names) and not code,
        target_scaling=document.target_scaling,
        last_activation=document.architecture.last_activation,
        code=code,
        # What is read back from a file of weights is our network, which never scales.
        reads_raw=about.get("preprocessing") == "inside" and not isinstance(exporter, WeightsExporter),
        at_once=max(1, AT_ONCE // document.largest),
        outputs=document.outputs,
        run=run,
    )


@contextmanager
def _explained(what: str, where: str | None = None) -> Iterator[None]:
    try:
        yield
    except NnpipeError:
        raise
    except Exception as error:  # of files that others made, runtimes complain in every way there is
        raise DataError(what, where=where, found=f"{type(error).__name__}: {error}") from error
