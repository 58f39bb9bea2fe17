"""The network as a PyTorch program that runs without nnpipe: ``torch.export.load("model.pt2").module()``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from nnpipe.errors import DataError
from nnpipe.exporters.exporter import computed_by
from nnpipe.exporters.preprocessing import GraphExporter

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from nnpipe.exporters.exporter import Context, Run
    from nnpipe.models.architecture import Model
    from nnpipe.models.network import Network


class TorchExport(GraphExporter):
    """Operators and weights in one archive; the document is its extra file ``nnpipe.json``."""

    kind: Literal["torch_export"] = "torch_export"
    filename: ClassVar[str] = "model.pt2"
    loading: ClassVar[str] = 'torch.export.load("model.pt2").module()'

    def write(self, network: Network, path: Path, context: Context) -> None:
        from io import BytesIO

        import torch

        from nnpipe.exporters.trace import trace

        # Through memory: a file's name would be written into it.
        buffer = BytesIO()
        torch.export.save(
            trace(network, raw=self.reads_raw), buffer, extra_files={"nnpipe.json": self.text_of(network)}
        )
        path.write_bytes(buffer.getvalue())

    def load(self, path: Path, architecture: Model | None = None) -> Run | None:
        import torch

        return computed_by(torch.export.load(path).module())

    def example(self, file: str) -> str:
        return (
            "import torch\n\n"
            f"model = torch.export.load({file!r}).module()\n"
            f"outputs = model(torch.from_numpy({self.example_reads})).detach().numpy()"
        )

    def about(self, path: Path) -> Mapping[str, Any]:
        raise DataError(
            "a torch program is not opened: it may hold pickles and name any function to call",
            where=str(path),
            expected="a file that can't run anything",
            found=path.name,
            hint="onnx, safetensors and weights_h5 hold the same network; torch.export.load opens your own files",
        )
