"""A store that several machines share: a local store as cache, and behind it the remote one that all of them have.

The cache is a whole store, which works by itself. What is found remotely is reused without being fetched; an artifact's
payload is fetched when somebody reads it, checked, and moved into place as if it had been computed here.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Event

from nnpipe.errors import CorruptionError
from nnpipe.store.artifact import MANIFEST, Artifact, Manifest
from nnpipe.store.canonical import JSON, canonical_json
from nnpipe.store.durable import explained, make_directory, move_directory, write_file
from nnpipe.store.lease import Lease
from nnpipe.store.output import Output
from nnpipe.store.record import Record, record_bytes
from nnpipe.store.shared.line import Line
from nnpipe.store.shared.names import SharedMoves, SharedRefs, SharedRuns
from nnpipe.store.shared.outbox import Outbox
from nnpipe.store.shared.remote import DIGEST, Remote, object_name, recipe_name
from nnpipe.store.store import Store

MOVING = "moving"  # the lease under which champions and pins move, and collections take place


class SharedArtifact(Artifact):
    """An artifact whose payload comes when it is read. bring: puts it into ``directory``."""

    def __init__(self, id: str, directory: Path, manifest: Manifest, made: JSON, bring: Callable[[], object]) -> None:  # noqa: A002
        super().__init__(id, directory, manifest, made)
        self._bring = bring

    def verify(self, name: str) -> None:
        self._bring()
        super().verify(name)


class SharedStore(Store):
    """The store at ``remote`` with the cache ``root``.

    tell: tells people a line: that the remote store is away, or back.

    The first call that needs the remote store raises RemoteError if it cannot be reached. After that a failure is told,
    work goes on in the cache, and what is made meanwhile is sent by the next run or by ``send``.
    """

    def __init__(self, root: Path, remote: Remote, tell: Callable[[str], None]) -> None:
        super().__init__(root)
        self.remote, self.tell = remote, tell
        self.line, self.outbox = Line(remote.url, tell), Outbox(root / "outbox")
        self.refs: SharedRefs = SharedRefs(root / "refs", remote, self.line, self.outbox, self._share)
        self.runs: SharedRuns = SharedRuns(root / "runs", remote, self.line, self.outbox)
        self.moves = SharedMoves(root / "moves", remote, self.line)
        self._damaged: set[str] = set()
        self._found: dict[str, Record] = {}  # of artifacts that may be fetched: their recipes come along

    @property
    def place(self) -> str:
        return self.remote.url

    @property
    def told(self) -> str:
        return f"{self.remote.url}, cached in {self.root}"

    def exists(self) -> bool:
        there = self.line.ask(self.remote.exists)
        if there:
            super().prepare()
        return there

    def prepare(self) -> None:
        super().prepare()
        if self.line.try_to(self.remote.exists) is False:
            self.line.ask(self.remote.prepare)  # a place where none can be made is told at once
        if len(self.outbox):
            self.line.try_to(self.send)

    def cache(self) -> Store:
        """What is on this machine, as a store that asks nobody."""
        super().prepare()
        return Store(self.root)

    # -- reading ---------------------------------------------------------------------------------------------

    def find(self, key: str) -> Record | None:
        here = super().recipe(key)
        if here and super().has(here.artifact):
            return here
        there = self.line.try_to(lambda: self.remote.recipe(key))
        if there is None or not self.has(there.artifact):
            return None
        self._found[there.artifact] = there
        return there

    def recipe(self, key: str) -> Record | None:
        return super().recipe(key) or self.line.try_to(lambda: self.remote.recipe(key))

    def records(self) -> Iterator[Record]:
        there = {*super().artifacts(), *(self.line.try_to(self.remote.artifacts) or [])}
        yield from (record for record in self.recipes() if record.artifact in there)

    def recipes(self) -> Iterator[Record]:
        here = {record.key: record for record in super().recipes()}
        yield from here.values()
        there = self.line.try_to(lambda: list(self.remote.recipes())) or []
        yield from (record for record in there if record.key not in here)

    def artifacts(self) -> list[str]:
        return sorted({*super().artifacts(), *(self.line.try_to(self.remote.artifacts) or [])})

    def has(self, id: str) -> bool:  # noqa: A002 - it is one
        return super().has(id) or self._manifest(id) is not None

    def here(self, id: str) -> bool:  # noqa: A002
        """Whether the payload of an artifact is on this machine."""
        return super().has(id)

    def artifact(self, id: str, made: JSON = None) -> Artifact:  # noqa: A002
        if super().has(id):
            return super().artifact(id, made)
        manifest = self._manifest(id)
        if manifest is None:
            where = f"{self.place}, and {self.directory(id)}"
            raise CorruptionError("artifact without a manifest", where=where)
        return SharedArtifact(id, self.directory(id), manifest, made, lambda: self.bring(id))

    def sound(self, id: str) -> bool:  # noqa: A002
        """Whether an artifact is what was written: here, or else there, whose payload is checked when it is fetched."""
        return (super().has(id) and self.intact(id)) or (id not in self._damaged and self._manifest(id) is not None)

    def bring(self, id: str) -> Path:  # noqa: A002
        """The directory of an artifact, fetched if it is not here yet.

        Raises:
            CorruptionError: what is there is damaged, or gone.
            RemoteError: the place cannot be reached.
        """
        with ExitStack() as held:
            if not super().has(id):
                held.enter_context(self.lock(f"fetch-{id}"))  # other processes here wait, and find it
            if not super().has(id):
                self._fetch(id)
        return self.directory(id)

    def sizes(self) -> dict[str, int]:
        return self.line.ask(self.remote.sizes)

    def where(self, id: str) -> str:  # noqa: A002
        return super().where(id) if super().has(id) else f"{self.place}/{object_name(id)}"

    def damage(self, id: str) -> list[str]:  # noqa: A002
        """What is wrong with the copy here, or else with what is there, which is read as a whole."""
        from nnpipe.store.damage import damage

        if here := super().damage(id):
            return here
        manifest, scratch = self.line.ask(lambda: self.remote.manifest(id)), self.workplace(f"verify-{id}")
        try:
            if manifest is None:
                raise CorruptionError("damaged manifest, or none", where=f"{self.place}/{object_name(id)}")
            make_directory(scratch)
            (scratch / MANIFEST).write_bytes(manifest)
            self.line.ask(lambda: self.remote.fetch(id, Manifest.from_json(json.loads(manifest)), scratch))
            return damage(scratch, id)
        except CorruptionError as error:
            self._damaged.add(id)
            return [str(error)]
        finally:
            shutil.rmtree(scratch, ignore_errors=True)

    def recipe_files(self) -> Iterator[tuple[str, str, bytes]]:
        for name, data in self.remote.read_many("recipes", self.line.ask(lambda: self.remote.documents("recipes"))):
            yield Path(name).stem, f"{self.place}/recipes/{name}", data

    def discard_recipe(self, key: str) -> str:
        return self.line.ask(lambda: self.remote.discard(recipe_name(key)))

    def discard_move(self, path: Path) -> str:
        name = path.relative_to(self.root).as_posix()
        where = self.line.ask(lambda: self.remote.discard(name))
        self.discard(path)
        return where

    def _fetch(self, id: str) -> None:  # noqa: A002
        manifest, scratch = self._manifest(id), self.workplace(f"fetch-{id}")
        try:
            if manifest is None:
                raise CorruptionError("artifact without a manifest", where=f"{self.place}, artifact {id}")
            shutil.rmtree(scratch, ignore_errors=True)
            with explained(scratch):
                make_directory(scratch)
                self.line.ask(lambda: self.remote.fetch(id, manifest, scratch))
                (scratch / MANIFEST).write_bytes(canonical_json(manifest.to_json()))
                with self.gate():
                    move_directory(scratch, self.directory(id))
                    if record := self._found.get(id):
                        write_file(self.recipe_path(record.key), record_bytes(record))
        except CorruptionError:
            self._damaged.add(id)
            raise
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
        self.memo.put(f"sound:{id}", super().artifact(id).marks())

    def _manifest(self, id: str) -> Manifest | None:  # noqa: A002
        """The manifest of an artifact that is not here; it never changes, so it is asked for once."""
        known = self.root / "manifests" / id[:2] / f"{id}.json"
        if not known.exists():
            data = self.line.try_to(lambda: self.remote.manifest(id))
            if data is None:
                return None
            super().prepare()
            write_file(known, data)
        return Manifest.from_json(json.loads(known.read_bytes()))

    # -- writing ---------------------------------------------------------------------------------------------

    @contextmanager
    def lock(
        self,
        key: str,
        stopping: Event | None = None,
        owner: str = "somebody",
        waiting: Callable[[str], None] = lambda _: None,
    ) -> Iterator[None]:
        """Hold ``key`` alone: among the processes of this machine, and where it is a recipe's, among machines.

        Nobody holds a recipe that was carried out meanwhile: there is nothing left to do.
        """
        with super().lock(key, stopping, owner, waiting), ExitStack() as held:
            if DIGEST.fullmatch(key):
                self._lease(held, key, stopping, owner, waiting, lambda: self.find(key) is not None)
            yield

    @contextmanager
    def moving(self) -> Iterator[None]:
        with ExitStack() as held:
            self.line.ask(lambda: held.enter_context(self.remote.leases.hold(MOVING)))
            with self.gate():
                yield

    def _lease(self, held: ExitStack, key: str, stopping: Event | None, owner: str, waiting: Callable[[str], None],
               needless: Callable[[], bool]) -> None:  # fmt: skip
        lease = self.remote.leases.hold(key, stopping, owner, waiting, needless)
        self.line.try_to(lambda: held.enter_context(lease))

    def reuse(self, key: str) -> Record | None:
        record = self.find(key)
        return super().reuse(key) if record and super().has(record.artifact) else record

    def commit(self, output: Output, key: str, stage: str, recipe: JSON, made: JSON) -> Record:
        """As for any store, and for all machines; another machine's record, if it was faster."""
        self.outbox.put("recipes", key)  # first: whoever dies on the way leaves word of what is to be sent
        ours = super().commit(output, key, stage, recipe, made)
        return self.line.try_to(lambda: self._publish(ours)) or ours

    def _publish(self, ours: Record) -> Record:
        theirs = self.remote.publish(ours, self.directory(ours.artifact), super().artifact(ours.artifact).manifest)
        self._damaged.discard(theirs.artifact)
        if theirs != ours:
            write_file(self.recipe_path(ours.key), record_bytes(theirs))
        self.outbox.take("recipes", ours.key)
        return theirs

    def _share(self, id: str) -> None:  # noqa: A002
        """See to it that an artifact is there, whose recipe may be old: collected there, and kept here."""
        if super().has(id):
            self.remote.send(id, self.directory(id), super().artifact(id).manifest)

    def send(self) -> int:
        """Send what could not be sent yet; how many things that were.

        Raises:
            RemoteError: the place cannot be reached.
        """
        count = len(self.outbox)
        for key in self.outbox.names("recipes"):
            record = super().recipe(key)
            if record and self.intact(record.artifact):
                self._publish(record)
            self.outbox.take("recipes", key)  # or it was never committed, or is lost: whoever needs it computes it
        for run in self.outbox.names("runs"):
            self.runs.send(run)
        for ref in self.outbox.names("refs"):
            self.refs.send(ref)
        return count

    def quarantine(self, id: str) -> str | Path:  # noqa: A002
        """Move a damaged artifact out of the way: our copy of it, or what is there if that was found damaged."""
        if id not in self._damaged:
            return super().quarantine(id) if self.directory(id).exists() else self.place
        (self.root / "manifests" / id[:2] / f"{id}.json").unlink(missing_ok=True)
        moved = self.line.ask(lambda: self.remote.set_aside(id))
        self._damaged.discard(id)
        self._share(id)
        return moved

    def begin(self, run: str) -> Lease:
        return SharedLease(self, run)


class SharedLease(Lease):
    """A run under way, for the other machines too: an object that goes with it, or counts for a week."""

    def __init__(self, store: SharedStore, run: str) -> None:
        super().__init__(store.root, run)
        self._store, self._name = store, f"live/{run}"
        store.line.try_to(lambda: store.remote.objects.write(self._name, b"live"))

    def release(self) -> None:
        super().release()
        self._store.line.try_to(lambda: self._store.remote.objects.remove(self._name))
        if len(self._store.outbox):
            self._store.line.try_to(self._store.send)
