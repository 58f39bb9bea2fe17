"""A store in a place that many machines reach, in the layout of a local one: what is asked of it, object by object.

Invariant: payload is written first, the manifest then, the recipe last, and only if there is none. So a recipe that is
there finds a whole artifact, and of several results of one recipe all machines use the one that came first.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

from nnpipe.errors import CorruptionError, StoreError, UsageError
from nnpipe.store.artifact import MANIFEST, Manifest
from nnpipe.store.canonical import canonical_json
from nnpipe.store.record import FORMAT, Record, record_bytes
from nnpipe.store.shared.lease import SILENCE, Leases
from nnpipe.store.shared.objects import AT_ONCE, Objects, read_many

MARK = "format.json"
DIGEST = re.compile(r"[0-9a-f]{64}")


class Remote:
    """The store behind ``objects``. Opening one asks nothing.

    silence: seconds after which others take us for dead, if they do not hear of us.

    Every method raises RemoteError where the place cannot be reached.
    """

    def __init__(self, objects: Objects, silence: float = SILENCE) -> None:
        self.objects, self.url = objects, objects.url
        self.leases = Leases(objects, silence)

    # -- the whole -------------------------------------------------------------------------------------------

    def exists(self) -> bool:
        """Whether there is a store.

        Raises:
            StoreError: it has another layout.
        """
        try:
            found = json.loads(self.objects.read(MARK)).get("format")
        except FileNotFoundError:
            return False
        except (ValueError, AttributeError):
            found = "no JSON"
        if found != FORMAT:
            raise StoreError("unknown layout of a store", where=f"{self.url}/{MARK}", expected=FORMAT, found=str(found))
        return True

    def prepare(self) -> None:
        """Make the store if it is not there yet; the place must keep the one promise that all rests on.

        Raises:
            StoreError: something else is there, or the server overwrites what it was asked to create.
        """
        if self.exists():
            return
        # Other machines may be making it: their probes, and a mark that is half written, are no strangers.
        names = (entry.name for entry in self.objects.entries(""))
        if found := next((name for name in names if not name.startswith(("probe/", f".{MARK}"))), None):
            if self.exists():
                return  # another machine made it just now
            raise StoreError("not a store", where=self.url, expected=f"an empty prefix, or {MARK} in it", found=found)
        probe = f"probe/{uuid.uuid4().hex}"
        try:
            if not self.objects.create(probe, b"first") or self.objects.create(probe, b"second"):
                hint = (
                    "S3 does, and Google, MinIO, Ceph and R2 in versions since 2025; nnpipe push and pull need it too"
                )
                raise StoreError("this server creates what is there already", where=self.url, hint=hint)
        finally:
            self.objects.remove(probe)
        self.objects.create(MARK, canonical_json({"format": FORMAT}) + b"\n")

    def now(self) -> float:
        """The time by the clock of the place (epoch)."""
        probe = f"probe/{uuid.uuid4().hex}"
        self.objects.write(probe, b"now")
        try:
            return max((entry.modified for entry in self.objects.entries("probe")), default=time.time())
        finally:
            self.objects.remove(probe)

    # -- recipes ---------------------------------------------------------------------------------------------

    def recipe(self, key: str) -> Record | None:
        """The record of ``key``; it may tell of an artifact that is gone."""
        try:
            return _record(key, self.objects.read(recipe_name(key)))
        except FileNotFoundError:
            return None

    def recipes(self) -> Iterator[Record]:
        """Every recipe that can be read."""
        for name, data in self.read_many("recipes", self.documents("recipes")):
            record = _record(Path(name).stem, data)
            if record:
                yield record

    def publish(self, record: Record, directory: Path, manifest: Manifest) -> Record:
        """Send an artifact that lies in ``directory``, and its recipe; the record that counts from now on.

        That is another machine's, if it was faster and its artifact is there.
        """
        self.send(record.artifact, directory, manifest)
        data = record_bytes(record)
        if self.objects.create(recipe_name(record.key), data):
            return record
        theirs = self.recipe(record.key)
        if theirs and (theirs.artifact == record.artifact or self.manifest(theirs.artifact)):
            return theirs
        self.objects.write(recipe_name(record.key), data)  # what it found is gone
        return record

    # -- artifacts -------------------------------------------------------------------------------------------

    def artifacts(self) -> list[str]:
        """The id of every artifact that is whole."""
        return [e.name.split("/")[2] for e in self.objects.entries("objects") if e.name.endswith(f"/{MANIFEST}")]

    def manifest(self, id: str) -> bytes | None:  # noqa: A002 - it is one
        """The manifest of an artifact as it was written; None: there is none, or a damaged one."""
        try:
            data = self.objects.read(f"{object_name(id)}/{MANIFEST}")
        except FileNotFoundError:
            return None
        return data if hashlib.sha256(data).hexdigest() == id else None

    def send(self, id: str, directory: Path, manifest: Manifest) -> None:  # noqa: A002
        """Send an artifact, if it is not there; its manifest last, so that nobody sees a part of it."""
        if self.manifest(id):
            return
        _at_once(lambda name: self.objects.upload(directory / name, f"{object_name(id)}/{name}"), manifest.files)
        self.objects.write(f"{object_name(id)}/{MANIFEST}", canonical_json(manifest.to_json()))

    def fetch(self, id: str, manifest: Manifest, directory: Path) -> None:  # noqa: A002
        """Put the payload of an artifact into an empty ``directory``, each file compared with the manifest.

        Raises:
            CorruptionError: a file is missing, or holds other bytes.
        """
        _at_once(lambda name: self._fetch_file(id, name, manifest.files[name], directory / name), manifest.files)

    def _fetch_file(self, id: str, name: str, expected: tuple[int, str], target: Path) -> None:  # noqa: A002
        target.parent.mkdir(parents=True, exist_ok=True)
        where = f"{self.url}/{object_name(id)}/{name}"
        for attempt in (1, 2):  # the network may have failed, and not the object
            try:
                self.objects.download(f"{object_name(id)}/{name}", target)
            except FileNotFoundError as error:
                raise CorruptionError("file of an artifact is missing", where=where) from error
            with open(target, "rb") as file:
                found = target.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest()
            if found == expected:
                return
            if attempt == 2:
                size, digest = expected
                raise CorruptionError(
                    "file of an artifact is damaged",
                    where=where,
                    expected=f"{size} bytes with SHA-256 {digest[:12]}",
                    found=f"{found[0]} bytes with SHA-256 {found[1][:12]}",
                )

    def sizes(self) -> dict[str, int]:
        """The bytes of every artifact, and of what there is of those that were never sent whole."""
        found: dict[str, int] = {}
        for entry in self.objects.entries("objects"):
            id_ = entry.name.split("/")[2]
            found[id_] = found.get(id_, 0) + entry.size
        return found

    def discard(self, name: str) -> str:
        """Move one damaged object to the quarantine; where it lies then."""
        target = f"quarantine/{Path(name).stem}-{uuid.uuid4().hex[:8]}"
        self.objects.copy(name, target)
        self.objects.remove(name)
        return f"{self.url}/{target}"

    def set_aside(self, id: str) -> str:  # noqa: A002
        """Move a damaged artifact to the quarantine, manifest first, so that nobody finds it; where it is then."""
        home, target = object_name(id), f"quarantine/{id}-{uuid.uuid4().hex[:8]}"
        names = [entry.name for entry in self.objects.entries(home)]
        for name in sorted(names, key=lambda name: name != f"{home}/{MANIFEST}"):
            self.objects.copy(name, target + name.removeprefix(home))
            self.objects.remove(name)
        return f"{self.url}/{target}"

    # -- small documents -------------------------------------------------------------------------------------

    def documents(self, folder: str) -> list[str]:
        """The names of what lies in ``folder``, below it, sorted; what is half written is left out."""
        names = (entry.name.removeprefix(f"{folder}/") for entry in self.objects.entries(folder))
        return [name for name in names if not name.rpartition("/")[2].startswith(".")]

    def read_many(self, folder: str, names: Iterable[str]) -> Iterator[tuple[str, bytes]]:
        """Those of ``names`` in ``folder`` that are there, with their bytes, in this order."""
        waiting = iter(names)
        while some := list(islice(waiting, AT_ONCE)):
            for name, data in read_many(self.objects, [f"{folder}/{name}" for name in some]):
                yield name.removeprefix(f"{folder}/"), data


def recipe_name(key: str) -> str:
    """The object of a recipe."""
    return f"recipes/{key[:2]}/{key}.json"


def object_name(id: str) -> str:  # noqa: A002
    """What the names of an artifact's objects begin with."""
    return f"objects/{id[:2]}/{id}"


def remote_at(url: str) -> Remote:
    """The store at ``url``; ``NNPIPE_LEASE`` are the seconds of silence after which others take us for dead.

    Raises:
        UsageError: there is no such kind of place, or a package is missing.
    """
    import os

    from nnpipe.store.shared.objects import objects_at

    told = os.environ.get("NNPIPE_LEASE", "")
    try:
        silence = float(told) if told else SILENCE
    except ValueError:
        silence = 0
    if not silence > 0:
        raise UsageError("not a time", where="NNPIPE_LEASE", expected="seconds, more than 0", found=told)
    return Remote(objects_at(url), silence)


def _record(key: str, data: bytes) -> Record | None:
    try:
        record = Record(**json.loads(data))
    except (ValueError, TypeError):
        return None  # it was never written by us: compute it again
    return record if record.key == key and DIGEST.fullmatch(record.artifact) else None


def _at_once(work: Callable[[str], None], names: Iterable[str]) -> None:
    """Do ``work`` for every name, several at a time; the first failure is raised, and no more is begun."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        futures = [pool.submit(work, name) for name in names]
        try:
            for future in futures:
                future.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
