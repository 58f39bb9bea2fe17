"""A trained network as a file holds it, and what it says of raw examples; of an ONNX file without torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nnpipe.errors import DataError, UsageError
from nnpipe.exporters import every_exporter
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
    """

    input_shape: tuple[int, ...]
    scaling: Scaling
    names: tuple[str, ...]
    classes: bool
    target_scaling: Scaling
    last_activation: str
    code: bool
    run: Run

    def predict(self, raw: np.ndarray) -> np.ndarray:
        """What the network says of ``raw`` (n, *input_shape), as data has it, not scaled: (n, len(names)) float32.

        Of classes probabilities, or margins where a hinge loss taught linear outputs; of numbers to learn the numbers
        in the data's units; of an autoencoder the squared error of each example, summed over its scaled values, or
        over those in the data's units where the file scales by itself.
        """
        import numpy as np

        x = np.ascontiguousarray(self.scaling.apply(raw), np.float32)
        outputs = self.run(x)
        if self.code:
            return np.asarray(np.square(outputs - x.reshape(len(x), -1)).sum(axis=1, keepdims=True))
        if not self.classes:
            return in_units(self.target_scaling, outputs)
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
    if not path.is_file():
        raise UsageError("no such file", where=str(path), expected="a trained network")
    every = every_exporter()
    exporter = next((each for each in every.values() if each.recognises(path)), None)
    if exporter is None:
        endings = ", ".join(sorted({Path(each.filename).suffix for each in every.values()}))
        raise UsageError(
            "not a file that holds a network", where=str(path), expected=f"a name that ends with {endings}"
        )
    about = exporter.about(path)  # before it is run: it refuses what must not be
    run = exporter.load(path, architecture)
    if run is None:
        raise UsageError(
            f"nothing here runs {exporter.kind} files",
            where=str(path),
            hint="onnx, safetensors and weights_h5 files hold the same network and can be asked",
        )
    return _model(about, run, path)


def _model(about: Mapping[str, Any], run: Run, path: Path) -> TrainedModel:
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
            run=run,
        )
    except (ValueError, TypeError, KeyError) as error:
        raise DataError("the file's model document is damaged", where=str(path), found=str(error)) from error
