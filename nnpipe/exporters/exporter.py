"""What every exporter offers: one trained network in, the bytes of one file out."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from nnpipe.errors import DataError
from nnpipe.models.parts import PartName
from nnpipe.spec import Part

if TYPE_CHECKING:
    import numpy as np
    from torch import nn

    from nnpipe.models.architecture import Model
    from nnpipe.models.network import Network

    # What the file reads, float32 (batch, *input_shape) -> outputs (batch, units).
    Run = Callable[[np.ndarray], np.ndarray]


DOCUMENT = frozenset({"architecture", "class_names", "input_shape", "scaling"})


@dataclass(frozen=True)
class Context:
    """What a file may need beside the network.

    card: its model card, in Markdown.
    examples: scaled training inputs that stand for all, (n, *input_shape) float32; None: there are none at hand.
    """

    card: str = ""
    examples: np.ndarray | None = None


class Exporter(Part):
    """A format that a trained network can leave in.

    filename: what a file with a whole network is called; ``file``: what it is called in the artifact.
    loading: how ``filename`` is opened elsewhere, in a line; ``opening``: the same of ``file``.
    exact: whether the file computes what the network computes, but for rounding; one that is not is judged by the
        accuracy that it loses.
    runs_apart: whether ``outputs`` waits for a process of its own.
    What the file computes is ``Network.forward``: of inputs that were scaled already, the scaling stands beside it,
    unless it ``reads_raw`` values. It is written from ``part_of(network, self.part)``, a network like any other.
    """

    kind: str
    filename: ClassVar[str]
    loading: ClassVar[str]
    exact: ClassVar[bool] = True
    runs_apart: ClassVar[bool] = False
    part: PartName = Field(
        "whole", description="Of an autoencoder: the whole, or the encoder, which gives codes, or the decoder."
    )

    @property
    def file(self) -> str:
        """``model.onnx``, or ``encoder.onnx``; of a name that is not ``model``, ``encoder_weights.h5``."""
        if self.part == "whole":
            return self.filename
        rest = self.filename.removeprefix("model")
        return self.part + rest if rest != self.filename else f"{self.part}_{rest}"

    @property
    def opening(self) -> str:
        """How ``file`` is opened elsewhere."""
        return self.loading.replace(self.filename, self.file)

    @property
    def label(self) -> str:
        """What tells the files of one network apart: ``onnx``, ``onnx encoder``."""
        return self.kind if self.part == "whole" else f"{self.kind} {self.part}"

    @property
    def inner(self) -> Exporter:
        """The format of the network inside, in a folder with a card; of a single file its own."""
        return self

    @property
    def reads_raw(self) -> bool:
        """Whether the file scales by itself, what it reads and what it gives."""
        return False

    def reads(self, network: Network, raw: np.ndarray) -> np.ndarray:
        """What the file of ``network`` is given for ``raw`` examples, (n, *input_shape): float32, scaled if need be."""
        return network.scaling.apply(raw)

    def gives(self, network: Network, outputs: np.ndarray) -> np.ndarray:
        """What the file of ``network`` gives where the network itself gives ``outputs``, (n, units)."""
        return outputs

    @abstractmethod
    def write(self, network: Network, path: Path, context: Context) -> None:
        """Write ``network``, which is in evaluation mode, to ``path``, which does not exist yet.

        The same network and context give the same bytes, and no path of the machine is inside.
        """

    @abstractmethod
    def load(self, path: Path, architecture: Model | None = None) -> Run | None:
        """What the file at ``path`` computes, by the runtime it is made for; None where that cannot run here.

        architecture: the caller's own, where a file of weights is of a network with layers of the user's own.
        """

    def outputs(
        self, path: Path, batches: Sequence[np.ndarray], architecture: Model | None = None
    ) -> list[np.ndarray] | None:
        """What the file at ``path`` makes of each of ``batches``; None where nothing here runs it."""
        run = self.load(path, architecture)
        return None if run is None else [run(batch) for batch in batches]

    def allowed_loss(self) -> float:
        """The accuracy that a file which is not exact may lose, as a fraction of the test examples."""
        return 0.0

    def example(self, file: str) -> str:
        """A few lines of Python that open the file called ``file`` and run it.

        They find ``np``, ``raw`` (raw examples) and ``x`` (the same, scaled: (n, *input_shape) float32), and leave
        ``outputs``.
        """
        return (
            "from pathlib import Path\n"
            "from nnpipe.prediction.model import open_model\n\n"
            f"outputs = open_model(Path({file!r})).predict(raw)"
        )

    def recognises(self, path: Path) -> bool:
        """Whether the file at ``path`` looks like one of this format, by its name and its first bytes."""
        return path.suffix == PurePath(self.filename).suffix

    @abstractmethod
    def about(self, path: Path) -> Mapping[str, Any]:
        """The model document in the file at ``path``, as ``nnpipe.models.network.save_document`` wrote it.

        Nothing in the file is executed.

        Raises:
            DataError: it is damaged, has no such document, or would have something else read or run.
        """


class WeightsExporter(Exporter):
    """A format that keeps weights apart from what is done with them: a network can be read from it, and train on."""

    @abstractmethod
    def read(self, path: Path) -> tuple[Mapping[str, np.ndarray], Mapping[str, Any]]:
        """The weights in the file at ``path`` by our names for them, and its document.

        Raises:
            DataError: as ``about``; or the weights are not of the network that it tells of.
        """

    def load(self, path: Path, architecture: Model | None = None) -> Run:
        """What our network with these weights computes."""
        from nnpipe.models.network import load_network

        return computed_by(load_network(*self.read(path), architecture))


def weights(network: Network) -> dict[str, np.ndarray]:
    """The tensors of ``network`` by name, on the CPU, in C order whatever their order in memory was."""
    import numpy as np

    return {name: np.ascontiguousarray(tensor.numpy(force=True)) for name, tensor in network.state_dict().items()}


def document(network: Network) -> str:
    """The model document of ``network`` as canonical JSON."""
    from nnpipe.models.network import save_document
    from nnpipe.store.canonical import canonical_json

    return canonical_json(save_document(network)).decode()


def read_document(text: object, path: Path) -> dict[str, Any]:
    """The model document that ``document`` wrote.

    Raises:
        DataError: it is none; ``path`` is the file where it was found, or was not.
    """
    try:
        found = json.loads(text if isinstance(text, str) else "null")
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict) or not DOCUMENT.issubset(found):
        raise DataError(
            "the file does not say what network it holds",
            where=str(path),
            expected="a model document, as nnpipe writes it into its files: " + ", ".join(sorted(DOCUMENT)),
            found="something else" if text else "none",
            hint="nnpipe export REF --format F --out PATH writes one",
        )
    return found


def computed_by(module: nn.Module) -> Run:
    """What ``module`` computes, from arrays to arrays."""
    import torch

    def run(x: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return module(torch.from_numpy(x)).numpy()  # type: ignore[no-any-return]

    return run
