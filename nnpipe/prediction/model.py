"""A trained network as a file holds it, and what it says of raw examples; of an ONNX file without torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nnpipe.errors import DataError, UsageError
from nnpipe.exporters import exporter_of
from nnpipe.exporters.exporter import WeightsExporter
from nnpipe.exporters.preprocessing import in_units
from nnpipe.models.architecture import Model
from nnpipe.models.scaling import Scaling

if TYPE_CHECKING:
    import numpy as np

    from nnpipe.exporters.exporter import Run


@dataclass(frozen=True)
class TrainedModel:
    """A network that can be asked.

    names: of the columns of what ``predict`` gives: classes, targets, or ``squared_error`` of an autoencoder.
    classes: whether they are classes.
    last_activation: what the outputs went through.
    code: whether it is an autoencoder.
    reads_raw: whether ``run`` scales by itself, what it reads and what it gives.
    """

    input_shape: tuple[int, ...]
    scaling: Scaling
    names: tuple[str, ...]
    classes: bool
    target_scaling: Scaling
    last_activation: str
    code: bool
    reads_raw: bool
    run: Run

    def predict(self, raw: np.ndarray) -> np.ndarray:
        """What the network says of ``raw`` (n, *input_shape), as data has it, not scaled: (n, len(names)) float32.

        Of classes probabilities, or margins where a hinge loss taught linear outputs; of numbers to learn the numbers
        in the data's units; of an autoencoder the squared error of each example, summed over its scaled values.
        """
        import numpy as np

        x = np.ascontiguousarray(self.scaling.apply(raw), np.float32)
        outputs = self.run(np.ascontiguousarray(raw, np.float32) if self.reads_raw else x)
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
    about = exporter.about(path)  # before it is run: it refuses what must not be
    run = exporter.load(path, architecture)
    if run is None:
        raise UsageError(
            f"nothing here runs {exporter.kind} files",
            where=str(path),
            hint="onnx, safetensors and weights_h5 files hold the same network and can be asked",
        )
    # What is read back from a file of weights is our network, which never scales.
    reads_raw = about.get("preprocessing") == "inside" and not isinstance(exporter, WeightsExporter)
    return _model(about, run, path, reads_raw)


def _model(about: Mapping[str, Any], run: Run, path: Path, reads_raw: bool) -> TrainedModel:
    try:
        architecture = Model.model_validate(about["architecture"])
        code = about.get("code") is not None
        classes, targets = tuple(about["class_names"]), tuple(about.get("target_names", ()))
        return TrainedModel(
            input_shape=tuple(about["input_shape"]),
            scaling=Scaling.model_validate(about["scaling"]),
            names=("squared_error",) if code else classes or targets,
            classes=bool(classes) and not code,
            target_scaling=Scaling.model_validate(about.get("target_scaling", {})),
            last_activation=architecture.last_activation,
            code=code,
            reads_raw=reads_raw,
            run=run,
        )
    except (ValueError, TypeError, KeyError) as error:
        raise DataError("the file's model document is damaged", where=str(path), found=str(error)) from error
