"""The published tree while the files behind it move, are mended, and are taken down."""

import threading
import time

import pytest
import requests
from django.core.files.storage import default_storage
from django.test import RequestFactory
from django.utils import timezone

from builds.files import moving, storage, takedown
from builds.files.relocation import STAYS, Move
from builds.tests.storages import make_whole_wheel, opened, places, use
from simple import files, publishing, tree
from simple.models import Shown
from simple.tests.conftest import Reader, publish_all

pytestmark = pytest.mark.django_db


def move(*, deletes=False):
    new, before = moving.both()
    deed = Move(before, new, timezone.now() + 2 * STAYS, deletes=deletes)
    for part in deed.parts():
        deed.run(part, lambda name: None)
    return deed.done


def links(wheel):
    """Return the names in the wheel's folder, without the pages."""
    return sorted(path.name for path in tree.folder("simple", wheel.package.name).glob("*.whl*"))


def download(wheel):
    """Return the wheel's bytes, as a client gets them that has read the page."""
    reader = Reader()
    page = reader.get(f"/simple/{wheel.package.name}/")
    assert wheel.filename in page.content.decode()
    response = reader.get(wheel.url)
    if response.status_code == 302:
        return requests.get(response["Location"], timeout=60).content
    return response.getvalue()


@pytest.mark.parametrize(("old", "new"), [("folder", "bucket"), ("bucket", "folder"), ("folder", "other")])
def test_pages_and_files_are_there_at_every_step_and_links_follow(settings, tmp_path, old, new):
    both = {**places(tmp_path), "other": {**places(tmp_path)["folder"]}}
    both["other"] = {**both["other"], "OPTIONS": {"location": str(tmp_path / "other")}}
    use(settings, both[old])
    wheel = make_whole_wheel()
    content = storage.read_bytes(wheel.path)
    steps = [
        lambda: use(settings, both[new], both[old]),
        move,
        lambda: move(deletes=True),
        lambda: use(settings, both[new]),
    ]

    for step in (lambda: None, *steps):
        step()
        assert download(wheel) == content
        publish_all()
        assert download(wheel) == content

    publish_all(after=Shown.LINGER * 2)
    assert links(wheel) == ([] if new == "bucket" else [wheel.filename, f"{wheel.filename}.metadata"])


def test_a_file_that_was_spoilt_and_mended_is_linked_anew():
    wheel = make_whole_wheel()
    content = storage.read_bytes(wheel.path)
    publish_all()
    entry = tree.folder("simple", "demo") / wheel.filename
    entry.write_bytes(bytes(wheel.size))  # one file with that of the storage

    storage.store_bytes(wheel.path, content)
    wheel.package.mark_changed()
    publish_all()

    assert entry.read_bytes() == content
    assert entry.samefile(default_storage.path(wheel.path))


def test_what_was_taken_down_is_in_no_folder_when_its_pages_are_written():
    wheel, other = make_whole_wheel(), make_whole_wheel(tag="cp311-cp311-linux_aarch64")
    publish_all()
    takedown.take_down([wheel], "Malware.", timezone.now())

    publishing.publish(timezone.now())
    takedown.remove_bytes(timezone.now(), limit=10)

    assert links(wheel) == [other.filename, f"{other.filename}.metadata"]
    assert not default_storage.exists(wheel.path)


class Downloader(threading.Thread):
    """A client that downloads the same wheels again and again."""

    def __init__(self, wheels):
        super().__init__()
        self.wheels, self.rounds, self.is_over = wheels, 0, threading.Event()
        self.bad = []
        # Processes change their storage by starting anew, and not in the middle of an answer.
        self.is_answering = threading.Lock()

    def run(self):
        while not self.is_over.is_set():
            for wheel in self.wheels:
                try:
                    with self.is_answering:
                        response = answer(wheel)
                    status, content = body_of(response)
                except Exception as error:
                    status, content = repr(error), b""
                if (status, len(content)) != (200, wheel.size):
                    self.bad.append((wheel.filename, status, len(content)))
            self.rounds += 1

    def wait(self):
        """Wait until a round has begun and ended."""
        until = self.rounds + 2
        while self.rounds < until and self.is_alive():
            time.sleep(0.01)


def answer(wheel):
    """Return what a client gets that asks for a wheel's file."""
    return files.serve(RequestFactory().get("/"), wheel.path, wheel.sha256)


def body_of(response):
    """Return the file itself, from wherever the answer leads."""
    if response.status_code == 302:
        told = requests.get(response["Location"], timeout=60)
        return told.status_code, told.content
    content = b"".join(response.streaming_content)
    response.close()
    return response.status_code, content


def test_readers_never_miss_a_file_on_the_way_there_and_back(settings, tmp_path):
    both = places(tmp_path)
    use(settings, both["folder"])
    reader = Downloader([make_whole_wheel(f"demo{number}") for number in range(3)])
    reader.start()
    try:
        for old, new in (("folder", "bucket"), ("bucket", "folder")):
            # First all processes learn to read both, and only then to write to the new one.
            for written, read in ((old, new), (new, old)):
                with reader.is_answering:
                    use(settings, both[written], both[read])
                reader.wait()
            assert move().copied == 9
            # Two hours are over, so whoever had asked where a file is has it by now.
            reader.wait()
            assert move(deletes=True).deleted == 9
            with reader.is_answering:
                use(settings, both[new])
            reader.wait()
            assert list(opened(both[old]).walk("")) == []
    finally:
        reader.is_over.set()
        reader.join()

    assert reader.bad == []
    assert reader.rounds > 8
