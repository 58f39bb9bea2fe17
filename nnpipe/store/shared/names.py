"""Refs, runs and moves of champions that several machines share; each has its local copy too."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

from nnpipe.store.canonical import JSON, canonical_json
from nnpipe.store.durable import write_file
from nnpipe.store.moves import Moves
from nnpipe.store.refs import NAME, Refs
from nnpipe.store.runs import Runs
from nnpipe.store.shared.line import Line
from nnpipe.store.shared.outbox import Outbox
from nnpipe.store.shared.remote import DIGEST, Remote


class SharedRefs(Refs):
    """Refs are the remote store's; what was set while it was away is ours until it is sent.

    share: sees to it that an artifact is there before a ref points at it.
    """

    def __init__(self, root: Path, remote: Remote, line: Line, outbox: Outbox, share: Callable[[str], None]) -> None:
        super().__init__(root)
        self._remote, self._line, self._outbox, self._share = remote, line, outbox, share

    def __getitem__(self, name: str) -> str:
        found = self.get(name)
        if found is None:
            raise FileNotFoundError(name)
        return found

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self.get(name) is not None

    def __setitem__(self, name: str, artifact: str) -> None:
        super().__setitem__(name, artifact)
        self._outbox.put("refs", name)
        self._line.try_to(lambda: self.send(name))

    def __delitem__(self, name: str) -> None:
        self._line.ask(lambda: self._remote.objects.remove(f"refs/{name}"))
        self._outbox.take("refs", name)
        with suppress(FileNotFoundError):
            super().__delitem__(name)

    def get(self, name: str) -> str | None:
        if not NAME.fullmatch(name):
            return None
        here = self._here(name)
        if self._outbox.has("refs", name):
            return here
        answer = self._line.try_to(lambda: (self._read(name),))  # in a tuple: no ref is an answer, none is not
        return answer[0] if answer else here

    def names(self) -> list[str]:
        there = self._line.try_to(lambda: self._remote.documents("refs"))
        return super().names() if there is None else sorted({*there, *self._outbox.names("refs")})

    def send(self, name: str) -> None:
        """Let the remote ref follow the local one; RemoteError where it cannot."""
        artifact = self._here(name)
        if artifact:
            self._share(artifact)
            self._remote.objects.write(f"refs/{name}", artifact.encode() + b"\n")
        self._outbox.take("refs", name)

    def _here(self, name: str) -> str | None:
        return super().__getitem__(name) if super().__contains__(name) else None

    def _read(self, name: str) -> str | None:
        try:
            found = self._remote.objects.read(f"refs/{name}").decode(errors="replace").strip()
        except FileNotFoundError:
            return None
        return found if DIGEST.fullmatch(found) else None


class SharedRuns(Runs):
    """Records of runs; those of this machine are here too, and are sent when they can be."""

    def __init__(self, root: Path, remote: Remote, line: Line, outbox: Outbox) -> None:
        super().__init__(root)
        self._remote, self._line, self._outbox = remote, line, outbox

    def put(self, run: JSON) -> None:
        super().put(run)
        self._outbox.put("runs", run["run"])
        self._line.try_to(lambda: self.send(run["run"]))

    def get(self, name: str) -> JSON | None:
        here = super().get(name)
        if here is not None or "/" in name:
            return here
        found = self._line.try_to(lambda: self._read([f"{name}.json"])) or {}
        return next(map(_run, found.values()), None)

    def newest_first(self) -> Iterator[JSON]:
        here = {path.stem for path in self.root.glob("*.json")}
        names = sorted(here.union(self._there()), reverse=True)
        while names:
            some, names = names[:16], names[16:]
            distant = [f"{name}.json" for name in some if name not in here]
            read = self._line.try_to(partial(self._read, distant)) or {}
            for name in some:
                found = super().get(name) if name in here else _run(read.get(f"{name}.json", b""))
                if found is not None:
                    yield found

    def remove(self, name: str) -> None:
        self._line.ask(lambda: self._remote.objects.remove(f"runs/{name}.json"))
        self._outbox.take("runs", name)
        super().remove(name)

    def send(self, name: str) -> None:
        """Send a record as it is here; RemoteError where it cannot be."""
        run = super().get(name)
        if run is not None:
            self._remote.objects.write(f"runs/{name}.json", canonical_json(run) + b"\n")
        self._outbox.take("runs", name)

    def _read(self, files: list[str]) -> dict[str, bytes]:
        return dict(self._remote.read_many("runs", files))

    def _there(self) -> list[str]:
        found = self._line.try_to(lambda: self._remote.documents("runs")) or []
        return [name.removesuffix(".json") for name in found]


class SharedMoves(Moves):
    """Moves of champions: other machines' are brought here when somebody asks. While it is away, none is added."""

    def __init__(self, root: Path, remote: Remote, line: Line) -> None:
        super().__init__(root)
        self._remote, self._line = remote, line

    def names(self) -> list[str]:
        there = self._line.try_to(lambda: self._remote.documents("moves")) or []
        return sorted({*super().names(), *(name.partition("/")[0] for name in there)})

    def paths(self, name: str) -> list[Path]:
        self._line.try_to(lambda: self._bring(name))
        return super().paths(name)

    def add(self, name: str, move: JSON) -> Path:
        return self._line.ask(lambda: self._add(name, move))

    def _add(self, name: str, move: JSON) -> Path:
        path = super().add(name, move)
        try:
            self._remote.objects.write(f"moves/{name}/{path.name}", path.read_bytes())
        except BaseException:
            path.unlink()
            raise
        return path

    def _bring(self, name: str) -> None:
        there = self._remote.documents(f"moves/{name}")
        missing = [file for file in there if not (self.root / name / file).exists()]
        for file, data in self._remote.read_many(f"moves/{name}", missing):
            write_file(self.root / name / Path(file).name, data)


def _run(data: bytes) -> JSON | None:
    """A record as it was read; None: it is no record."""
    try:
        return json.loads(data)
    except ValueError:
        return None
