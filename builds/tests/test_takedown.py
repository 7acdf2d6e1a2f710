import shutil
from datetime import timedelta
from io import StringIO
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.management import CommandError, call_command
from django.utils import timezone

from builds import publish
from builds.files import storage, takedown
from builds.models import Builder, Wheel
from builds.tests.pi import PURE, Pi
from builds.tests.rows import make_builder, make_running_build
from builds.tests.storages import make_whole_wheel, opened, places, use
from builds.tests.wheels import make_wheel as wheel_bytes
from packages.clock import database_now
from packages.models import Package
from packages.tests import deeds

pytestmark = [pytest.mark.django_db, pytest.mark.embedded]

NOW = timezone.now()


def run(*words):
    out = StringIO()
    call_command("take_down", "--yes", *words, stdout=out)
    return out.getvalue()


def test_the_bytes_go_when_no_page_lists_them_any_more():
    wheel = make_whole_wheel()
    takedown.take_down([wheel], "A court said so.", NOW)

    assert not Wheel.objects.listed().exists()
    assert takedown.remove_bytes(NOW, limit=10) == 0
    assert default_storage.exists(wheel.path)

    wheel.package.refresh_from_db()
    package = wheel.package
    Package.objects.note_shown({package.pk: (package.revision, package.shown_revision)})
    assert takedown.remove_bytes(NOW, limit=10) == 1

    assert not any(default_storage.exists(name) for name in wheel.paths)
    wheel.refresh_from_db()
    assert (wheel.removed_at, wheel.withdrawn_reason) == (NOW, "A court said so.")


def test_the_bytes_do_not_wait_for_an_index_that_nobody_writes():
    takedown.take_down([make_whole_wheel()], "Malware.", NOW)

    assert takedown.remove_bytes(NOW + takedown.PATIENCE, limit=10) == 1
    assert takedown.remove_bytes(NOW + takedown.PATIENCE, limit=10) == 0


def make_stuck(wheel):
    """Put a folder where a wheel's file was, which no delete removes; return how to mend that."""
    path = Path(default_storage.path(wheel.path))
    path.unlink()
    (path / "stuck").mkdir(parents=True)
    return lambda: shutil.rmtree(path)


def test_bytes_that_cannot_be_removed_keep_no_others_and_are_tried_again(caplog):
    stuck, other = make_whole_wheel(), make_whole_wheel("other")
    takedown.take_down([stuck], "Malware.", NOW - timedelta(seconds=1))
    takedown.take_down([other], "Malware.", NOW)
    mend = make_stuck(stuck)
    later, minute = NOW + takedown.PATIENCE, timedelta(minutes=1)

    assert [takedown.remove_bytes(later + number * minute, limit=1) for number in range(4)] == [0, 1, 0, 0]
    assert not default_storage.exists(other.path)
    assert caplog.text.count("cannot be removed") == 1

    mend()
    assert takedown.remove_bytes(later + takedown.AGAIN, limit=1) == 1
    assert not Wheel.objects.to_remove().exists()


@pytest.mark.parametrize("words", [["--now"], []])
def test_who_takes_down_what_cannot_be_removed_is_told_and_not_kept(monkeypatch, words):
    monkeypatch.setattr(takedown, "PATIENCE", timedelta(0))
    stuck, other = make_whole_wheel(), make_whole_wheel("other")
    make_stuck(stuck)

    with pytest.raises(CommandError, match="The bytes of 1 wheel cannot be removed"):
        run(stuck.filename, other.filename, "--reason", "Malware.", *words)

    assert not Wheel.objects.listed().exists()
    assert Wheel.objects.to_remove().get() == stuck
    assert not default_storage.exists(other.path)


def test_bytes_on_a_disk_that_is_not_mounted_are_not_said_to_be_gone(tmp_path):
    wheel, _ = make_whole_wheel(), make_whole_wheel("other")
    takedown.take_down([wheel], "Malware.", NOW)
    (tmp_path / "files").rename(tmp_path / "unmounted")

    assert takedown.remove_bytes(NOW + takedown.PATIENCE, limit=10) == 0
    (tmp_path / "unmounted").rename(tmp_path / "files")

    assert takedown.remove_bytes(NOW + takedown.PATIENCE + takedown.AGAIN, limit=10) == 1
    assert not default_storage.exists(wheel.path)


@pytest.mark.parametrize("first", ["folder", "bucket"])
def test_the_bytes_go_from_every_storage_that_has_them(settings, tmp_path, first):
    there = places(tmp_path)
    new = there.pop(first)
    [before] = there.values()
    use(settings, new, before)
    wheel = make_whole_wheel()
    content = storage.read_bytes(wheel.path)
    opened(before).save(wheel.path, ContentFile(content))
    opened(new).save(f"lost-and-found/{wheel.path}", ContentFile(content))

    run(wheel.filename, "--reason", "Malware.", "--now")

    for place in (new, before):
        assert [file.name for file in opened(place).walk("")] in ([], [wheel.provenance_path])


def test_bytes_that_come_back_are_found_and_removed():
    wheel = make_whole_wheel()
    content = storage.read_bytes(wheel.path)
    run(wheel.filename, "--reason", "Malware.", "--now")
    storage.store_bytes(wheel.path, content)
    out = StringIO()

    with pytest.raises(CommandError, match="1 taken down"):
        call_command("check_storage", "--fix", "--yes", stdout=out)

    assert f"taken down: {wheel.path}: It is there still or again. [removed]" in out.getvalue()
    assert not default_storage.exists(wheel.path)


def test_a_name_that_is_unknown_takes_nothing_down():
    wheel = make_whole_wheel()

    with pytest.raises(CommandError, match=r"there is no wheel demo-9\.whl"):
        run(wheel.filename, "demo-9.whl", "--reason", "Malware.")

    assert Wheel.objects.listed().exists()


def test_an_operator_is_asked_before_a_wheel_is_taken_down(client):
    wheel = make_whole_wheel()
    client.force_login(User.objects.create_superuser("operator"))

    asked = deeds.ask(client, Wheel, "take_down", wheel)
    assert wheel.filename in asked.content.decode()
    assert Wheel.objects.listed().exists()

    deeds.act(client, Wheel, "take_down", wheel, reason="Malware.")
    wheel.refresh_from_db()
    assert wheel.taken_down_at
    assert wheel.withdrawn_reason == "Malware. (Taken down by operator.)"


def test_a_lost_wheel_that_was_taken_down_does_not_come_back():
    wheel = make_whole_wheel()
    wheel.lose(NOW, "Lost.")
    wheel.take_down(NOW + timedelta(hours=1), "Malware.")

    assert not Wheel.objects.restore(wheel.filename)


def test_who_looked_before_a_wheel_was_taken_out_changes_nothing_of_that():
    wheel = make_whole_wheel()
    wheel.held_reason = "It has setuid bits."
    wheel.save()
    stale = Wheel.objects.get()
    wheel.distrust(NOW, "Its builder was in wrong hands.")

    stale.release()

    wheel.refresh_from_db()
    assert (wheel.withdrawn_at, wheel.held_reason) == (NOW, "Its builder was in wrong hands.")
    stale.take_down(NOW, "Malware.")
    wheel.lose(NOW, "Its file is gone.")
    assert Wheel.objects.get().lost_at is None


def test_bytes_that_come_while_they_are_taken_down_go_again(monkeypatch):
    store = publish._store

    def slowly(build, file, content, statement):
        wheel = Wheel.objects.first()
        if wheel:
            wheel.take_down(NOW, "Malware.")
            takedown.remove(wheel, NOW)
        store(build, file, content, statement)

    monkeypatch.setattr(publish, "_store", slowly)

    publish_twice(lambda wheel: None)

    wheel = Wheel.objects.get()
    assert default_storage.exists(wheel.path)
    assert takedown.remove_bytes(NOW + takedown.PATIENCE, limit=10) == 1
    assert not default_storage.exists(wheel.path)


def publish_twice(between):
    """Have a builder bring a wheel, and another attempt the same bytes; return the second answer."""
    build, ticket = make_running_build(make_builder(heard_at=database_now()), now=database_now())
    content = wheel_bytes()
    for number in (1, 2):
        pi = Pi(ticket)
        pi.upload(build, PURE, content)
        response = pi.report(build, (PURE, content))
        if number == 1:
            between(Wheel.objects.get())
            build = build.again(losses=0, priority=0, why="")
            builder = Builder.objects.get()
            build.assign(builder, database_now())
            ticket = build.claim(builder, build.version.files.get(), database_now())
    return response


def test_nothing_gets_the_name_of_what_was_taken_down_nor_brings_its_bytes_back():
    def take_down(wheel):
        takedown.take_down([wheel], "Malware.", NOW)
        takedown.remove(wheel, NOW)

    response = publish_twice(take_down)

    assert response.status_code == 422
    assert "was taken down" in response.json()["error"]
    assert not any(default_storage.exists(name) for name in Wheel.objects.get().paths)
    assert not Wheel.objects.listed().exists()


def test_a_build_that_makes_the_bytes_of_a_lost_wheel_again_brings_it_back():
    def lose(wheel):
        wheel.lose(NOW, "Lost.")
        default_storage.delete(wheel.path)

    assert publish_twice(lose).status_code == 200

    wheel = Wheel.objects.listed().get()
    assert (wheel.lost_at, wheel.withdrawn_reason) == (None, "")
    assert storage.stored_sha256(default_storage, wheel.path) == wheel.sha256


def test_a_build_does_not_bring_back_what_an_operator_withdrew():
    publish_twice(lambda wheel: wheel.withdraw(NOW, "Broken."))

    assert not Wheel.objects.listed().exists()
