import gzip
import os
import socket
from io import BytesIO
from pathlib import Path

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage

from builds.files import incoming, logs, storage
from builds.files.stored import MARK, log_name
from builds.tests.rows import make_build, make_wheel
from builds.tests.storages import dead, use

pytestmark = pytest.mark.django_db


def test_stored_files_have_their_own_names_and_the_content_that_came_first():
    storage.store({"aa/x.whl": BytesIO(b"content"), "bb/y.whl": BytesIO(b"other")})
    storage.store({"aa/x.whl": BytesIO(b"later"), "bb/y.whl": BytesIO(b"other")})

    with default_storage.open("aa/x.whl") as file:
        assert file.read() == b"content"
    assert default_storage.listdir("aa") == ([], ["x.whl"])


class BrokenFile(BytesIO):
    """A file that can no longer be read."""

    def read(self, size=-1):
        raise OSError("disk on fire")


def test_of_several_files_none_is_there_when_one_breaks_off():
    with pytest.raises(OSError, match="on fire"):
        storage.store({"aa/x.whl": BytesIO(b"content"), "aa/y.whl": BrokenFile(b"other")})

    assert default_storage.listdir("aa") == ([], [])


def test_a_write_that_breaks_off_leaves_nothing():
    class Broken(ContentFile):
        def chunks(self, chunk_size=None):
            yield b"half"
            raise OSError("disk on fire")

    with pytest.raises(OSError, match="on fire"):
        default_storage.save("aa/x.whl", Broken(b""))

    assert default_storage.listdir("aa") == ([], [])


@pytest.fixture
def unmarked(tmp_path):
    """A storage that nothing was written into since there are marks."""
    mark = tmp_path / "files" / MARK
    mark.unlink()
    return mark


def test_the_folder_of_a_new_farm_becomes_its_storage(unmarked):
    unmarked.parent.rmdir()

    storage.store_bytes("aa/x.whl", b"content")

    assert unmarked.exists()


def test_a_storage_from_before_there_were_marks_is_known_by_its_wheels(unmarked):
    wheel = make_wheel()
    path = unmarked.parent / wheel.path
    path.parent.mkdir(parents=True)
    path.write_bytes(b"content")

    default_storage.require()

    assert unmarked.exists()


def test_nothing_is_written_where_the_storage_is_not_mounted(unmarked):
    make_wheel()

    with pytest.raises(storage.Unreachable, match="mount it"):
        storage.store_bytes("aa/x.whl", b"content")

    assert list(unmarked.parent.iterdir()) == []


def test_a_disk_that_only_gives_errors_is_away_as_one_that_is_not_mounted(settings, tmp_path):
    use(settings, dead(tmp_path))

    with pytest.raises(storage.Unreachable, match="gives only errors"):
        default_storage.require()

    assert not incoming.has_room()


def test_no_builds_are_given_out_where_nothing_could_be_taken_in(settings, tmp_path):
    assert incoming.has_room()

    (tmp_path / "file").touch()
    settings.PIWHEELS_INCOMING = tmp_path / "file" / "incoming"

    assert not incoming.has_room()


def test_what_somebody_has_stored_who_was_killed_then_is_synced_by_the_next_try(monkeypatch):
    name = "logs/0000/0000/0001.txt.gz"
    storage.store_bytes(name, b"content")
    synced = []

    def hear(descriptor, fsync=os.fsync):
        synced.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", hear)
    storage.store_bytes(name, b"other content")

    root = default_storage.path("")
    assert set(synced) == {f"{root}{below}" for below in ("", "/logs", "/logs/0000", "/logs/0000/0000")}
    assert storage.read_bytes(name) == b"content"


def test_a_stored_file_can_be_read_by_the_web_server():
    storage.store_bytes("aa/x.whl", b"content")

    assert Path(default_storage.path("aa/x.whl")).stat().st_mode & 0o777 == 0o644


def test_a_finished_log_is_kept_compressed_under_the_name_of_piwheels_org():
    build = make_build()
    logs.append(build.pk, 0, b"hello\n")

    logs.keep(build.pk)
    logs.keep(build.pk)

    assert log_name(14701945) == "logs/0000/1470/1945.txt.gz"
    with default_storage.open(log_name(build.pk)) as file:
        assert gzip.decompress(file.read()) == b"hello\n"
    assert "".join(logs.lines(build)) == "hello\n"
    assert logs.tail(build, 3) == ("lo\n", True)


def test_a_log_has_an_end(monkeypatch):
    monkeypatch.setattr(logs, "LOG_LIMIT", 10)
    build = make_build()

    sizes = [logs.append(build.pk, at, b"12345678") for at in (0, 8, 16, 24)]

    assert sizes == [8, 16, 24, 32]
    assert logs.tail(build, 100) == ("1234567812", False)


def test_a_cut_upload_keeps_what_came():
    sha256 = "a" * 64
    assert incoming.receive(7, sha256, BytesIO(b"abc"), offset=0, length=10, total=10) == 3
    assert incoming.received(7, sha256) == 3

    incoming.receive(7, sha256, BytesIO(b"defghij"), offset=3, length=7, total=10)

    assert incoming.part(7, sha256).read_bytes() == b"abcdefghij"


def test_what_comes_too_slowly_is_cut_and_keeps_what_came():
    server, builder = socket.socketpair()
    with server, builder, server.makefile("rb") as body:
        builder.sendall(b"abc")

        with incoming.cut_off_after(0.2, server):
            assert incoming.receive(7, "b" * 64, body, offset=0, length=10, total=10) == 3

        server.sendall(b"answer")
        assert builder.recv(10) == b"answer"


def test_a_builder_has_so_many_uploads_at_a_time_and_others_theirs():
    with incoming.place(7), incoming.place(7):
        with pytest.raises(incoming.Busy), incoming.place(7):
            pass
        with incoming.place(8):
            pass

    with incoming.place(7):
        pass


def test_a_heartbeat_that_comes_after_the_end_does_not_hide_the_log():
    build = make_build()
    logs.append(build.pk, 0, b"hello\n")
    logs.keep(build.pk)

    assert logs.append(build.pk, 6, b"too late\n") == 0
    assert logs.append(build.pk, 0, b"much too late\n") > 0

    assert "".join(logs.lines(build)) == "hello\n"


def test_a_huge_log_of_control_characters_is_shown_in_parts():
    build = make_build()
    logs.append(build.pk, 0, b"\x01" * (10 << 20))

    text, is_cut = logs.tail(build, 100_000)
    sizes = [len(piece) for piece in logs.lines(build)]

    assert is_cut
    assert set(text) == {"\ufffd"}
    assert sum(sizes) == 10 << 20
    assert max(sizes) <= 64 << 10


def test_a_late_request_cannot_add_to_a_wheel_that_is_being_stored():
    incoming.receive(7, "a" * 64, BytesIO(b"abc"), offset=0, length=3, total=3)

    with incoming.held(7, "a" * 64) as file:
        with pytest.raises(incoming.Busy):
            incoming.receive(7, "a" * 64, BytesIO(b"d"), offset=3, length=1, total=4)

        assert file.read() == b"abc"
        # What NFS asks for.
        assert file.raw.writable()


def test_a_folder_that_is_none_of_ours_among_the_uploads_is_left_alone():
    (incoming.folder(1).parent / "lost+found").mkdir(parents=True)

    assert incoming.builds() == []
