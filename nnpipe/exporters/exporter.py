"""What every exporter offers: one trained network in, the bytes of one file out."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, ClassVar

from nnpipe.errors import DataError
from nnpipe.spec import Part

if TYPE_CHECKING:
    import numpy as np
    from torch import nn

    from nnpipe.models.architecture import Model
    from nnpipe.models.network import Network

    # Scaled float32 inputs (batch, *input_shape) -> outputs (batch, units).
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

    filename: what the file is called in the artifact.
    loading: how it is opened elsewhere, in a line.
    What the file computes is ``Network.forward``: of inputs that were scaled already, the scaling stands beside it.
    """

    kind: str
    filename: ClassVar[str]
    loading: ClassVar[str]

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
