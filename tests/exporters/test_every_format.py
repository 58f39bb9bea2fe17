"""What holds of every format: the file computes what the network computes, and says nothing of the machine."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from nnpipe.errors import DataError
from nnpipe.exporters import every_exporter
from nnpipe.exporters.exporter import Context
from nnpipe.exporters.model_card import File, model_card
from nnpipe.models.architecture import Model
from nnpipe.models.network import Network
from nnpipe.models.scaling import Scaling

from .conftest import ARCHITECTURES, assert_near, build, context_of

EVERY = every_exporter()
HERE = Path(__file__).parent
FORMATS = pytest.mark.parametrize("kind", EVERY)
NETWORKS = pytest.mark.parametrize("name", ARCHITECTURES)


@FORMATS
@NETWORKS
def test_the_file_computes_what_the_network_computes(
    kind: str, name: str, exported: Path, networks: dict[str, Network]
) -> None:
    run = EVERY[kind].load(exported / name / EVERY[kind].filename)
    if run is None:
        assert kind in ("keras", "keras_h5"), "test_keras runs them; every other format has its runtime here"
        return
    for batch in (1, 3, 64):
        x = np.random.default_rng(batch).standard_normal((batch, *networks[name].input_shape), dtype=np.float32)
        with torch.inference_mode():
            expected = networks[name](torch.from_numpy(x)).numpy()
        assert_near(run(x), expected, EVERY[kind])


@FORMATS
def test_a_second_export_gives_the_same_bytes_and_leaves_the_network_as_it_was(
    kind: str, exported: Path, tmp_path: Path
) -> None:
    network, untouched = build("options"), build("options")
    EVERY[kind].write(network, tmp_path / "another_name", context_of(network))
    assert (tmp_path / "another_name").read_bytes() == (exported / "options" / EVERY[kind].filename).read_bytes()
    assert not network.training
    for (name, tensor), (_, expected) in zip(network.state_dict().items(), untouched.state_dict().items(), strict=True):
        assert torch.equal(tensor, expected), name
        assert tensor.stride() == expected.stride(), name


ANOTHER_PROCESS = """
import sys
from pathlib import Path
import torch
torch.manual_seed(99)
torch.zeros(3, requires_grad=True).sum().backward()  # another history
from nnpipe.exporters import every_exporter
from conftest import build, context_of
for format_ in every_exporter().values():
    format_.write(build("convnet"), Path(sys.argv[1], format_.filename), context_of(build("convnet")))
"""


def test_another_process_gives_the_same_bytes_and_says_nothing(exported: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONHASHSEED": "12345", "PYTHONPATH": str(HERE)}
    command = [sys.executable, "-W", "error", "-c", ANOTHER_PROCESS, str(tmp_path)]
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    for kind, format_ in EVERY.items():
        assert (tmp_path / format_.filename).read_bytes() == (exported / "convnet" / format_.filename).read_bytes(), (
            kind
        )


@FORMATS
@NETWORKS
def test_no_path_of_this_machine_is_inside(kind: str, name: str, exported: Path) -> None:
    paths = {str(HERE.parents[1]), str(Path(torch.__file__).parents[1]), str(Path.home()), str(exported)}
    for content in _contents(exported / name / EVERY[kind].filename):
        for path in paths:
            assert path.encode() not in content
        assert b".py" not in content


def _contents(path: Path) -> list[bytes]:
    """The bytes of a file and, if it is an archive, of its members."""
    data = path.read_bytes()
    if not zipfile.is_zipfile(path):
        return [data]
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return [data, *(archive.read(member) for member in archive.namelist())]


@FORMATS
def test_a_layer_of_the_users_is_held_by_every_format_but_kerass(kind: str, tmp_path: Path) -> None:
    if kind in ("keras", "keras_h5"):
        return  # test_keras has their refusal
    # Among its tensors is a single number, how many batches it saw.
    custom = {"kind": "custom", "class": "torch.nn.BatchNorm1d", "options": {"num_features": 4}}
    model = Model.model_validate({"layers": [{"kind": "residual", "layers": [custom]}, {"kind": "dense", "units": 3}]})
    network = Network(model, (4,), Scaling(), ["a", "b", "c"], torch.Generator().manual_seed(0))
    x = torch.randn(5, 4, generator=torch.Generator().manual_seed(1))
    network.train()(x)
    path = tmp_path / EVERY[kind].filename
    EVERY[kind].write(network.eval(), path, Context(examples=x.numpy()))
    run = EVERY[kind].load(path, model)
    assert run is not None
    assert_near(run(x.numpy()), network(x).detach().numpy(), EVERY[kind])
    if kind in ("safetensors", "weights_h5", "huggingface"):
        with pytest.raises(DataError, match="whose code"):
            EVERY[kind].load(path)


# test_keras and test_mlflow run theirs, in Keras and in MLflow.
@pytest.mark.parametrize("kind", sorted(EVERY.keys() - {"keras", "keras_h5", "mlflow"}))
@pytest.mark.parametrize("name", ["convnet", "binary"])
def test_the_lines_of_python_in_a_card_run_the_file(
    kind: str, name: str, exported: Path, networks: dict[str, Network], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(exported / name)
    network = networks[name]
    card = model_card(network, files=[File(EVERY[kind].filename, EVERY[kind])])
    (lines,) = re.findall(r"^```python\n(.*?)^```$", card, flags=re.MULTILINE | re.DOTALL)
    raw = np.random.default_rng(0).integers(0, 256, (7, *network.input_shape)).astype(np.float32)
    names = {"np": np, "raw": raw, "x": network.scaling.apply(raw)}
    exec(lines, names)
    with torch.inference_mode():
        expected = network(torch.from_numpy(network.scaling.apply(raw))).numpy()
    # Of one unit, nnpipe's own reader tells both classes.
    assert_near(names["outputs"][:, -expected.shape[1] :], expected, EVERY[kind])
    assert len(lines.splitlines()) <= 5
