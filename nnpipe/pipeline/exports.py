"""Whether what a spec exports can be had of its network, and each in a file of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nnpipe.spec import problem

if TYPE_CHECKING:
    from nnpipe.exporters.exporter import Exporter
    from nnpipe.pipeline.spec import Spec


def check_exports(spec: Spec) -> None:
    """Refuse a half of what is no autoencoder, and two unlike exports that would be one file.

    Raises:
        PydanticCustomError: what is wrong, at its place in the spec.
    """
    there: dict[str, Exporter] = {}
    for index, exporter in enumerate(spec.export):
        if exporter.part != "whole" and not spec.model.unroll:
            raise problem(
                f"only an autoencoder has a part called {exporter.part}",
                path=("export", index, "part"),
                expected="whole, or a network with model.unroll: true",
                found=exporter.part,
            )
        if there.setdefault(exporter.file, exporter) != exporter:
            raise problem(
                f"two exports would be one file, {exporter.file}",
                path=("export", index),
                expected="one export for each format and part",
                found=f"{exporter.label} with two sets of options",
                hint="nnpipe export writes the other to any file",
            )
