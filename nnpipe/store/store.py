"""The store: immutable artifacts, found by the recipe that made them.

Invariant: a recipe is written last, atomically, so its existence means that its artifact is complete.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from threading import Event

from nnpipe.errors import CorruptionError, StoreError
from nnpipe.store.artifact import MANIFEST, Artifact, Manifest
from nnpipe.store.canonical import JSON, canonical_json
from nnpipe.store.durable import explained, make_directory, move_directory, read_json, write_file
from nnpipe.store.hashing import flush_and_hash
from nnpipe.store.lease import Lease
from nnpipe.store.locks import Locks
from nnpipe.store.memo import Memo
from nnpipe.store.moves import Moves
from nnpipe.store.output import Output
from nnpipe.store.record import FORMAT, Record, record_bytes
from nnpipe.store.refs import Refs
from nnpipe.store.runs import Runs


class Store:
    """A directory in the layout of docs/artifact-format.md. Opening one writes nothing."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.refs = Refs(root / "refs")
        self.runs = Runs(root / "runs")
        self.moves = Moves(root / "moves")
        self.memo = Memo(root / "memo.json")
        self._locks = Locks(root / "locks")
        mark = root / "format.json"
        # Looked for before the mark, as another process may be making the store; a dead one leaves half a mark.
        strangers = root.is_dir() and any(not e.name.startswith((".gitignore", ".format.json")) for e in root.iterdir())
        if mark.exists():
            found = read_json(mark).get("format")
            if found != FORMAT:
                raise StoreError("unknown layout of a store", where=str(mark), expected=FORMAT, found=str(found))
        elif strangers:
            raise StoreError("not a store", where=str(root), expected="an empty directory, or format.json in it")

    @property
    def place(self) -> str:
        """What opens this store from anywhere: the path of its folder, or a URL."""
        return str(self.root.resolve())

    @property
    def told(self) -> str:
        """The store as people are told of it."""
        return str(self.root)

    def exists(self) -> bool:
        """Whether there is a store yet."""
        return (self.root / "format.json").exists()

    def prepare(self) -> None:
        """Make the store's directory if it is not there yet."""
        if not (self.root / "format.json").exists():
            write_file(self.root / "format.json", canonical_json({"format": FORMAT}) + b"\n")

    def remember(self) -> None:
        """Keep the memo, where there is a store to keep it in; only time is lost where there is not."""
        if self.memo.changed and os.access(self.root / "format.json", os.W_OK):
            with self.lock("memo"):
                self.memo.save()

    # -- reading ---------------------------------------------------------------------------------------------

    def find(self, key: str) -> Record | None:
        """The record of ``key`` if it was carried out and its artifact is there."""
        record = self.recipe(key)
        return record if record and self.has(record.artifact) else None

    def recipe(self, key: str) -> Record | None:
        """The record of ``key`` if it was ever carried out, whether or not its artifact is still there."""
        try:
            return Record(**json.loads(self.recipe_path(key).read_bytes()))
        except FileNotFoundError:
            return None
        except (ValueError, TypeError):
            return None  # a recipe that cannot be read was never written by us: compute it again

    def has(self, id: str) -> bool:  # noqa: A002 - it is one
        """Whether an artifact is there, whole."""
        return (self.directory(id) / MANIFEST).exists()

    def bring(self, id: str) -> Path:  # noqa: A002
        """The directory of an artifact, with all its files in it."""
        return self.directory(id)

    def records(self) -> Iterator[Record]:
        """Every recipe that was carried out."""
        for path in sorted((self.root / "recipes").glob("??/*.json")):
            record = self.find(path.stem)
            if record:
                yield record

    def recipes(self) -> Iterator[Record]:
        """Every recipe that was ever carried out, whether or not its artifact is still there.

        Raises:
            CorruptionError: one of them is not what was written.
        """
        for path in sorted((self.root / "recipes").glob("??/*.json")):
            with suppress(FileNotFoundError):  # removed while we looked
                try:
                    yield Record(**read_json(path))
                except TypeError as error:
                    hint = "move it away: a run that needs it writes it again"
                    raise CorruptionError("not a recipe", where=str(path), found=str(error), hint=hint) from error

    def artifacts(self) -> list[str]:
        """The id of every artifact."""
        return sorted(path.name for path in (self.root / "objects").glob("??/*"))

    def artifact(self, id: str, made: JSON = None) -> Artifact:  # noqa: A002
        """Open an artifact; its manifest is checked against its id.

        Raises:
            CorruptionError: the manifest is missing or not the one that was written.
        """
        directory = self.directory(id)
        try:
            data = (directory / MANIFEST).read_bytes()
        except OSError as error:
            raise CorruptionError("artifact without a manifest", where=str(directory)) from error
        if hashlib.sha256(data).hexdigest() != id:
            raise CorruptionError("damaged manifest", where=str(directory / MANIFEST), expected=f"SHA-256 {id}")
        return Artifact(id, directory, Manifest.from_json(json.loads(data)), made)

    def sound(self, id: str) -> bool:  # noqa: A002
        """Whether an artifact can be reused: see ``intact``."""
        return self.intact(id)

    def intact(self, id: str) -> bool:  # noqa: A002
        """Whether the bytes of an artifact in ``directory(id)`` are those that were written.

        They are read only if a size, a time or an inode differs from what it was when they were read last.
        """
        try:
            artifact = Store.artifact(self, id)
            marks = artifact.marks()
            if self.memo.get(f"sound:{id}") != marks:
                for name in artifact.manifest.files:
                    artifact.verify(name)
                self.memo.put(f"sound:{id}", marks)
        except CorruptionError:
            return False
        return True

    def sizes(self) -> dict[str, int]:
        """The bytes of every artifact, manifests included."""
        from nnpipe.store.collect import disk_size

        return {id_: disk_size(self.directory(id_)) for id_ in self.artifacts()}

    def where(self, id: str) -> str:  # noqa: A002
        """Where the bytes of an artifact lie, in words."""
        return str(self.directory(id))

    def damage(self, id: str) -> list[str]:  # noqa: A002
        """What is wrong with an artifact, whose bytes are read; nothing, if it was collected meanwhile."""
        from nnpipe.store.damage import damage

        return damage(self.directory(id), id)

    def recipe_files(self) -> Iterator[tuple[str, str, bytes]]:
        """Every recipe as it is kept: the key that its name tells, where it lies, its bytes."""
        for path in sorted((self.root / "recipes").glob("??/*.json")):
            with suppress(FileNotFoundError):  # collected while we looked
                yield path.stem, str(path), path.read_bytes()

    def discard_recipe(self, key: str) -> str:
        """Move a damaged recipe to the quarantine; where it lies then."""
        return str(self.discard(self.recipe_path(key)))

    def discard_move(self, path: Path) -> str:
        """Move a damaged move of a champion to the quarantine; where it lies then."""
        return str(self.discard(path))

    def directory(self, id: str) -> Path:  # noqa: A002
        """Where the artifact ``id`` lies, or would lie."""
        return self.root / "objects" / id[:2] / id

    # -- writing ---------------------------------------------------------------------------------------------

    def lock(
        self,
        key: str,
        stopping: Event | None = None,
        owner: str = "somebody",
        waiting: Callable[[str], None] = lambda _: None,
    ) -> AbstractContextManager[None]:
        """Hold ``key`` alone, among threads and processes: see ``Locks.hold``."""
        return self._locks.hold(key, stopping, owner, waiting)

    def claim(self, name: str, owner: str) -> AbstractContextManager[str | None]:
        """Hold ``name`` alone if nobody does, among threads and processes: see ``Locks.claim``."""
        return self._locks.claim(name, owner)

    @contextmanager
    def gate(self) -> Iterator[None]:
        """Held for the moment in which an artifact comes, goes, or is chosen for reuse, so that these never overlap."""
        with self.lock("gate"):
            yield

    def moving(self) -> AbstractContextManager[None]:
        """Held while a champion or a pin moves: a collection begins before this or after, and sees where it is."""
        return self.gate()

    def begin(self, run: str) -> Lease:
        """Count a run as under way until it is released, so that nothing it uses is collected."""
        return Lease(self.root, run)

    def busy(self, key: str) -> bool:
        """Whether somebody is at work on ``key`` right now."""
        return self._locks.busy(key)

    def workplace(self, key: str) -> Path:
        """The directory of a stage under way: its checkpoints, files they tell of, its output until it is committed."""
        return self.root / "work" / key

    @contextmanager
    def output(self, key: str) -> Iterator[Output]:
        """A fresh output for ``key``; whatever was not committed is removed, but for checkpoints and what they need."""
        directory = self.workplace(key) / f"output-{uuid.uuid4().hex}"
        with explained(directory):
            for abandoned in self.workplace(key).glob("output-*"):
                shutil.rmtree(abandoned, ignore_errors=True)  # its writer died: the key is locked by us
            make_directory(directory)
        try:
            yield Output(directory)
        finally:
            resumable = any(self.workplace(key).glob("checkpoint-*"))
            shutil.rmtree(directory if resumable else self.workplace(key), ignore_errors=True)

    def reuse(self, key: str) -> Record | None:
        """``find`` for whoever goes on to use the artifact: from now on it counts as just made, and so stays."""
        if self.find(key) is None:
            return None
        with self.gate():
            record = self.find(key)
            if record:
                os.utime(self.directory(record.artifact))
            return record

    def commit(self, output: Output, key: str, stage: str, recipe: JSON, made: JSON) -> Record:
        """Make an artifact of ``output``, and then the recipe that finds it; scratch work of the stage goes."""
        with explained(output.directory):
            files = flush_and_hash(output.directory)
        manifest = Manifest(stage, output.content(), output.parts, files, output.summary)
        data = canonical_json(manifest.to_json())
        id = hashlib.sha256(data).hexdigest()  # noqa: A001
        with explained(output.directory):
            (output.directory / MANIFEST).write_bytes(data)
        with self.gate():
            if self.directory(id).exists() and not self.intact(id):
                self.quarantine(id)
            move_directory(output.directory, self.directory(id))
            os.utime(self.directory(id))  # it may have been there for long
            record = Record(key, id, manifest.content, recipe, made)
            write_file(self.recipe_path(key), record_bytes(record))
        self.memo.put(f"sound:{id}", Store.artifact(self, id).marks())
        shutil.rmtree(self.workplace(key), ignore_errors=True)
        return record

    def quarantine(self, id: str) -> str | Path:  # noqa: A002
        """Move a damaged artifact out of the way, so that its recipes are carried out again; where it lies then."""
        return self.discard(self.directory(id))

    def discard(self, path: Path) -> Path:
        """Move something damaged to the quarantine."""
        target = self.root / "quarantine" / f"{path.stem}-{uuid.uuid4().hex[:8]}"
        make_directory(target.parent)
        os.rename(path, target)
        return target

    def recipe_path(self, key: str) -> Path:
        """Where the recipe ``key`` is kept, or would be."""
        return self.root / "recipes" / key[:2] / f"{key}.json"
