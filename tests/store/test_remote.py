"""Objects in a folder and in a bucket, and the leases that rest on them."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from nnpipe.errors import Interrupted, StoreError, UsageError
from nnpipe.store.shared.lease import Leases
from nnpipe.store.shared.objects import Objects, RemoteError, objects_at
from nnpipe.store.shared.remote import Remote

KEY = "ab" * 32


@pytest.fixture
def objects(place: str) -> Objects:
    return objects_at(place)


# -- objects -------------------------------------------------------------------------------------------------


def test_an_object_is_written_read_copied_listed_and_removed(objects, tmp_path):
    objects.write("a/one", b"1")
    objects.write("a/deep/two", b"22")
    (tmp_path / "three").write_bytes(b"333")
    objects.upload(tmp_path / "three", "a/three")
    objects.copy("a/three", "b/copy")
    assert [(e.name, e.size) for e in objects.entries("a")] == [("a/deep/two", 2), ("a/one", 1), ("a/three", 3)]
    assert abs(objects.entries("a")[0].modified - time.time()) < 60
    objects.remove("a/one", "a/deep/two", "a/never there")
    objects.download("b/copy", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == b"333"
    assert [entry.name for entry in objects.entries("")] == ["a/three", "b/copy"]
    for what in (lambda: objects.read("a/one"), lambda: objects.download("a/one", tmp_path / "none")):
        with pytest.raises(FileNotFoundError):
            what()
    assert objects.entries("nothing") == []


def test_of_all_who_create_one_object_one_is_told_that_it_did(objects):
    begin = threading.Barrier(8)

    def create(number: int) -> bool:
        begin.wait()
        return objects.create("leases/x", b"%d" % number)

    with ThreadPoolExecutor(8) as pool:
        created = list(pool.map(create, range(8)))
    assert sum(created) == 1
    assert objects.read("leases/x") == b"%d" % created.index(True)
    objects.remove("leases/x")
    assert objects.create("leases/x", b"again")


@pytest.mark.parametrize("url", ["s3://", "file://relative", "ftp://host/x", "gs:///"])
def test_what_is_no_place_for_a_store_is_a_usage_error(url):
    with pytest.raises(UsageError, match="not the place of a store"):
        objects_at(url)


def test_a_package_that_is_not_there_is_told_with_its_extra(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "gcsfs", None)
    with pytest.raises(UsageError) as caught:
        objects_at("gs://bucket/x")
    assert caught.value.hint == 'pip install "nnpipe[gs]"'


@pytest.fixture
def anew():
    """Lets the next client read the environment: fsspec keeps clients."""
    from s3fs import S3FileSystem

    yield S3FileSystem.clear_instance_cache
    S3FileSystem.clear_instance_cache()


def test_a_missing_bucket_wrong_credentials_and_a_server_that_is_away_are_told_apart(bucket, monkeypatch, anew):
    with pytest.raises(RemoteError, match="no such bucket"):
        objects_at("s3://never-made/x").read("format.json")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
    anew()
    with pytest.raises(RemoteError, match="does not let us in") as caught:
        objects_at(bucket.url).read("format.json")
    assert "AWS_ACCESS_KEY_ID" in str(caught.value.hint)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")  # where nobody listens
    anew()
    with pytest.raises(RemoteError, match="cannot be reached"):
        objects_at(bucket.url).read("format.json")


# -- the whole -----------------------------------------------------------------------------------------------


def test_a_server_that_overwrites_what_it_should_create_is_refused(place, monkeypatch):
    remote = Remote(objects_at(place))

    def careless(name: str, data: bytes) -> bool:
        remote.objects.write(name, data)
        return True

    monkeypatch.setattr(remote.objects, "create", careless)
    with pytest.raises(StoreError, match="creates what is there already"):
        remote.prepare()
    assert remote.objects.entries("") == []


def test_a_prefix_with_something_else_in_it_is_no_store(place):
    remote = Remote(objects_at(place))
    remote.objects.write("holiday.jpg", b"sun")
    with pytest.raises(StoreError, match="not a store"):
        remote.prepare()
    remote.objects.write("format.json", b'{"format": "nnpipe-store/99"}')
    with pytest.raises(StoreError, match="unknown layout"):
        remote.exists()


# -- leases --------------------------------------------------------------------------------------------------


def test_a_lease_is_held_by_one_at_a_time_and_whoever_waits_is_told_by_whom(objects):
    inside, most, told = 0, 0, []
    lock = threading.Lock()

    def work(number: int) -> None:
        nonlocal inside, most
        with Leases(objects).hold(KEY, owner=f"machine {number}", waiting=told.append):
            with lock:
                inside += 1
                most = max(most, inside)
            time.sleep(0.1)
            with lock:
                inside -= 1

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(work, range(3)))
    assert most == 1
    assert told
    assert set(told) <= {"machine 0", "machine 1", "machine 2"}
    assert objects.entries("leases") == []


def test_a_holder_that_lives_is_never_taken_for_dead_however_long_it_works(objects):
    stopping = threading.Event()
    threading.Timer(0.7, stopping.set).start()
    with Leases(objects, silence=0.3).hold(KEY), pytest.raises(Interrupted):  # noqa: SIM117
        with Leases(objects).hold(KEY, stopping):
            pytest.fail("two holders")


def test_a_dead_holder_is_replaced_after_its_silence_by_one_of_those_who_wait(objects):
    # Its clock may be years off: nobody looks at it.
    objects.create(f"leases/{KEY}/1", b'{"beat":7,"owner":"a dead machine","silence":0.3,"token":"x"}')
    began, entered, told = time.monotonic(), [], []

    def wait(number: int) -> None:
        with Leases(objects).hold(KEY, waiting=told.append):
            entered.append(time.monotonic() - began)
            time.sleep(0.2)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(wait, range(2)))
    first, second = sorted(entered)
    assert 0.3 <= first < 2
    assert second - first >= 0.2
    assert "a dead machine" in told
    assert objects.entries("leases") == []


def test_whoever_waits_for_what_is_done_meanwhile_holds_nothing(objects):
    met, done = threading.Event(), threading.Event()
    with ThreadPoolExecutor(1) as pool:

        def wait() -> list[str]:
            with Leases(objects).hold(KEY, waiting=lambda _: met.set(), needless=done.is_set):
                return [entry.name for entry in objects.entries("leases")]

        with Leases(objects).hold(KEY):
            waiting = pool.submit(wait)
            assert met.wait(10)
            done.set()
        assert waiting.result() == []


def test_an_answer_that_was_lost_is_no_other_holder(objects, monkeypatch):
    create = objects.create

    def lossy(name: str, data: bytes) -> bool:  # the request was carried out, and its answer lost; it was repeated
        create(name, data)
        return create(name, data)

    monkeypatch.setattr(objects, "create", lossy)
    with Leases(objects).hold(KEY, waiting=lambda owner: pytest.fail(f"waits for {owner}")):
        assert [entry.name for entry in objects.entries("leases")] == [f"leases/{KEY}/1"]


def test_a_name_below_an_object_is_not_there(objects):
    objects.write("refs/tiny", b"x")
    with pytest.raises(FileNotFoundError):
        objects.read("refs/tiny/latest")


def test_a_folder_that_fails_is_told_as_the_shared_folder(tmp_path):
    (tmp_path / "nfs" / "x").mkdir(parents=True)
    with pytest.raises(RemoteError, match="shared folder fails") as caught:
        objects_at(f"file://{tmp_path / 'nfs'}").read("x")
    assert f"{tmp_path}/nfs/x" in str(caught.value)


def test_a_folder_that_cannot_be_made_is_told_with_its_reason(tmp_path):
    (tmp_path / "file").write_text("no folder")
    objects = objects_at(f"file://{tmp_path / 'file'}")
    for call in (lambda: objects.write("x", b""), lambda: objects.create("x", b"")):
        with pytest.raises(RemoteError, match="shared folder fails") as caught:
            call()
        assert str(caught.value).count("hint") == 1
        assert "File exists" in str(caught.value) or "Not a directory" in str(caught.value)
