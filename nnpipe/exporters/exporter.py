"""What every exporter offers: one trained network in, the bytes of one file out."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar

from nnpipe.spec import Part

if TYPE_CHECKING:
    from pathlib import Path

    from nnpipe.models.network import Network


class Exporter(Part):
    """A format that a trained network can leave in. ``filename`` is what the file is called in the artifact."""

    kind: str
    filename: ClassVar[str]

    @abstractmethod
    def write(self, network: Network, path: Path) -> None:
        """Write ``network``, which is in evaluation mode, to ``path``, which does not exist yet.

        The same network gives the same bytes, and no path of the machine is inside.
        """
