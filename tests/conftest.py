"""The order of files, and a server that speaks S3: who asks for ``bucket`` gets one and the environment to reach it."""

from __future__ import annotations

import threading
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

# Files that take longest. pytest-xdist hands files out in the order in which they were collected: one of these at the
# end would keep one core busy while the others have nothing to do.
LONGEST = (
    "flows/test_dask.py",
    "test_readme.py",
    "reliability/test_sweeps.py",
    "training/test_distributed.py",
    "cli/test_sweep.py",
    "flows/test_serving.py",
    "pipeline/test_autoencoder.py",
    "cli/test_shared.py",
    "test_wheel.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    rank = {here / name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: rank.get(item.path, len(rank)))


@dataclass
class Server:
    """moto, with what tests want to see of it. url: where it listens.

    requests: what was asked, as ``PUT /bucket/name``.
    fails: says of a request whether it fails, with status 501, which no client tries again.
    """

    url: str = ""
    requests: list[str] = field(default_factory=list)
    fails: Callable[[str], bool] = lambda _: False
    _lock: Any = field(default_factory=threading.Lock)

    def __call__(self, application: Any) -> Any:
        def answered(environ: Any, start: Any) -> Any:
            request = f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}"
            # One after another: moto looks whether an object is there and writes it in two steps, S3 does it in one.
            with self._lock:
                self.requests.append(request)
                if self.fails(request):
                    environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
                    start("501 Not Implemented", [("Content-Length", "0")])
                    return [b""]
                return application(environ, start)

        return answered


@dataclass
class Bucket:
    """A bucket of the server. name: of it; url: as ``--store`` takes it."""

    server: Server
    name: str

    @property
    def url(self) -> str:
        return f"s3://{self.name}/nnpipe"

    def asked(self) -> list[str]:
        """What was asked since this was called last: ``GET recipes/ab/abcd.json``."""
        seen, self.server.requests[:] = list(self.server.requests), []
        return [request.replace(f"/{self.name}/nnpipe/", "").replace(f"/{self.name}", "list") for request in seen]


@pytest.fixture(scope="session")
def s3_server() -> Iterator[Server]:
    import logging

    from moto.server import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import make_server

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = Server()
    listening = make_server("127.0.0.1", 0, server(DomainDispatcherApplication(create_backend_app)), threaded=True)
    server.url = f"http://127.0.0.1:{listening.server_port}"
    thread = threading.Thread(target=listening.serve_forever, daemon=True)
    thread.start()
    yield server
    listening.shutdown()
    thread.join()


@pytest.fixture
def bucket(s3_server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    for name, value in {
        "AWS_ENDPOINT_URL": s3_server.url,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        monkeypatch.setenv(name, value)
    made = Bucket(s3_server, f"bucket-{uuid.uuid4().hex[:8]}")
    urllib.request.urlopen(urllib.request.Request(f"{s3_server.url}/{made.name}", method="PUT")).close()
    made.asked()
    yield made
    s3_server.fails = lambda _: False


@pytest.fixture(params=["file", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Any) -> str:
    """The URL of an empty place for a shared store, of each kind that can be tried here."""
    if request.param == "file":
        return f"file://{tmp_path / 'nfs'}"
    return str(request.getfixturevalue("bucket").url)
