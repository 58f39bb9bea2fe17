"""The network as a folder that MLflow loads and serves, in a zip archive: an ONNX file and what MLflow asks of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from nnpipe.exporters.onnx import Onnx
from nnpipe.exporters.preprocessing import GraphExporter

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from nnpipe.exporters.exporter import Context, Exporter, Run
    from nnpipe.models.architecture import Model
    from nnpipe.models.network import Network

# What the folder claims to be written by and for: versions of this machine say nothing of the file.
WRITTEN_BY, PYTHON, ONNX = "3.0.0", "3.11", "1.17"
REQUIREMENTS = (f"mlflow>={WRITTEN_BY}", f"onnx>={ONNX}", "onnxruntime>=1.20")


class Mlflow(GraphExporter):
    """``MLmodel`` with the flavors ``onnx`` and ``python_function``, ``model.onnx``, environments and ``README.md``.

    https://mlflow.org/docs/latest/ml/model/ says what is in the folder. The document is in ``model.onnx``, and in
    ``MLmodel`` as ``metadata.nnpipe``.
    """

    kind: Literal["mlflow"] = "mlflow"
    filename: ClassVar[str] = "mlflow.zip"
    loading: ClassVar[str] = 'unzip mlflow.zip -d model; mlflow.pyfunc.load_model("model")'

    @property
    def inner(self) -> Exporter:
        return Onnx(preprocessing=self.preprocessing)

    def write(self, network: Network, path: Path, context: Context) -> None:
        from nnpipe.exporters.archive import write_archive
        from nnpipe.exporters.onnx_file import onnx_bytes, onnx_model

        pip = {"pip": list(REQUIREMENTS)}
        members = {
            "MLmodel": _yaml(_description(network, self.text_of(network))),
            "README.md": context.card.encode(),
            "conda.yaml": _yaml(
                {"name": "mlflow-env", "channels": ["conda-forge"], "dependencies": [f"python={PYTHON}", "pip", pip]}
            ),
            "model.onnx": onnx_bytes(onnx_model(network, raw=self.reads_raw), self.document_of(network)),
            "python_env.yaml": _yaml(
                {"python": PYTHON, "build_dependencies": ["pip"], "dependencies": ["-r requirements.txt"]}
            ),
            "requirements.txt": "".join(f"{each}\n" for each in REQUIREMENTS).encode(),
        }
        write_archive(path, members)

    def load(self, path: Path, architecture: Model | None = None) -> Run | None:
        from nnpipe.exporters.archive import read_member
        from nnpipe.exporters.onnx_file import computed_by_onnx

        return computed_by_onnx(read_member(path, "model.onnx"))

    def example(self, file: str) -> str:
        return (
            "import mlflow, zipfile\n\n"
            f'zipfile.ZipFile({file!r}).extractall("model")\n'
            f'outputs = mlflow.pyfunc.load_model("model").predict({self.example_reads})["output"]'
        )

    def recognises(self, path: Path) -> bool:
        from nnpipe.exporters.archive import member_names

        return path.suffix == ".zip" and "MLmodel" in member_names(path)

    def about(self, path: Path) -> Mapping[str, Any]:
        from nnpipe.exporters.archive import read_member
        from nnpipe.exporters.onnx_file import read_onnx_document

        return read_onnx_document(read_member(path, "model.onnx"), path)


def _description(network: Network, document: str) -> dict[str, Any]:
    """What ``MLmodel`` says; no time, no run and no random name."""
    flavors = {
        "onnx": {
            "data": "model.onnx",
            "onnx_version": ONNX,
            "providers": ["CUDAExecutionProvider", "CPUExecutionProvider"],  # as MLflow does: what is there is used
        },
        "python_function": {
            "data": "model.onnx",
            "env": {"conda": "conda.yaml", "virtualenv": "python_env.yaml"},
            "loader_module": "mlflow.onnx",
            "python_version": PYTHON,
        },
    }
    units = network.architecture.shapes(network.input_shape)[-1]
    return {
        "flavors": flavors,
        "metadata": {"nnpipe": document},
        "mlflow_version": WRITTEN_BY,
        "signature": {"inputs": _tensor("input", network.input_shape), "outputs": _tensor("output", units)},
    }


def _tensor(name: str, shape: tuple[int, ...]) -> str:
    """A signature of one tensor, whose first axis is the batch."""
    return json.dumps([{"name": name, "type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1, *shape]}}])


def _yaml(content: dict[str, Any]) -> bytes:
    from io import BytesIO

    from ruamel.yaml import YAML

    yaml, text = YAML(typ="safe", pure=True), BytesIO()  # pure: the same bytes with its C library and without
    yaml.default_flow_style, yaml.allow_unicode = False, False  # MLflow reads in the encoding of its machine
    yaml.dump(content, text)
    return text.getvalue()
