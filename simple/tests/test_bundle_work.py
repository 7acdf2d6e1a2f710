import io
import os
import random
import sys
import time
import zipfile
from datetime import timedelta
from pathlib import Path

import pytest
from django.core.files.storage import default_storage
from django.utils import timezone

from builder.zip_directory import MAX_MEMBERS
from builds.files import takedown
from builds.models import Dependency, Wheel
from builds.tests.rows import make_target
from packages import sync
from packages.clock import database_now
from packages.models import Package, UpstreamFile
from simple.bundle import tidying, work
from simple.bundle.asking import MOST_WAITING, Question, Refused, ask
from simple.choose import Installer, choose
from simple.explain import SETUPS, CannotRun, Setup, held, machine_of, offers
from simple.indexes import current
from simple.machines import BY_KEY
from simple.models import Bundle
from simple.requirements import CannotRead
from simple.tests.rows import PI, make_wheel
from tests.fake_pypi import FakePyPI
from tests.sdists import make_wheel as wheel_bytes
from tests.sdists import metadata

pytestmark = pytest.mark.django_db

OTHER = "192.0.2.2"


@pytest.fixture
def pi():
    return make_target("test-armhf-cp313")


@pytest.fixture
def upstream(settings):
    with FakePyPI() as fake:
        settings.PIWHEELS_PYPI = fake.simple_url
        yield fake


def asked(text, pi, *, installed="", model="4", address="192.0.2.1", now=None):
    question = Question(text, installed, pi, BY_KEY.get(model))
    return ask(question, address, now or database_now())


def made(text, pi, **fields):
    bundle = asked(text, pi, **fields)
    work.make_next(database_now)
    bundle.refresh_from_db()
    return bundle


def zipped(bundle):
    return zipfile.ZipFile(work.zip_path(bundle.digest))


def wheels_in(bundle):
    with zipped(bundle) as found:
        return [name.split("/")[-1] for name in found.namelist() if name.endswith(".whl")]


def follow(upstream, *names):
    for name in names:
        sync.look_up(sync.upstream(), name, now=timezone.now())


def test_a_bundle_has_what_is_asked_for_and_what_that_needs(pi):
    wheel = make_wheel("one", requires=("two>=1; sys_platform == 'linux'", "three; extra == 'x'"))
    make_wheel("two", tag="py3-none-any")
    Dependency.objects.create(wheel=wheel, tool="apt", name="libpq5", requirement="libpq5")

    bundle = made("one", pi)

    assert bundle.state == "ready"
    assert wheels_in(bundle) == [f"one-1.0-{PI}.whl", "two-1.0-py3-none-any.whl"]
    assert bundle.content["apt"] == ["libpq5"]
    assert [entry["wanted_by"] for entry in bundle.content["entries"]] == [[], ["one"]]
    assert work.zip_path(bundle.digest).stat().st_size == bundle.size


def test_the_same_question_later_gives_the_same_bytes(pi):
    make_wheel("one", requires=("two",))
    make_wheel("two")
    first = made("one", pi)
    bytes_then = work.zip_path(first.digest).read_bytes()
    work.zip_path(first.digest).unlink()
    Bundle.objects.update(asked_at=database_now() - timedelta(hours=2))

    second = made("one\n\n# again", pi, address=OTHER)

    assert (second.pk, second.digest) != (first.pk, "")
    assert second.digest == first.digest
    assert work.zip_path(second.digest).read_bytes() == bytes_then


def test_what_is_being_made_or_new_is_not_made_again(pi):
    make_wheel("one")
    waiting = asked("one", pi)

    assert asked("one", pi, address=OTHER) == waiting
    work.make_next(database_now)
    assert asked("one", pi, address=OTHER) == waiting
    assert asked("one", pi, model="zero") != waiting


def test_what_is_there_already_is_left_out(pi):
    make_wheel("one", requires=("two",))
    make_wheel("two")

    bundle = made("one", pi, installed="two==1.0\n-e git+x#egg=own\n")

    assert wheels_in(bundle) == [f"one-1.0-{PI}.whl"]
    assert bundle.content["present"] == ["two==1.0"]
    with zipped(bundle) as found:
        readme = next(name for name in found.namelist() if name.endswith("README.txt"))
        assert "    two==1.0\n" in found.read(readme).decode()


def test_upstreams_wheels_are_fetched_and_their_needs_with_them(pi, upstream):
    make_wheel("one", requires=("pure[x]",))
    upstream.add_wheel("pure", "2.0", wheel_bytes("pure", "2.0", requires=("more; extra == 'x'",)))
    upstream.add_wheel("pure", "3.0", tag="cp313-cp313-win_amd64")
    upstream.add_wheel("more", "1.0")
    follow(upstream, "pure", "more")

    bundle = made("one", pi)

    assert bundle.problem == ""
    assert wheels_in(bundle) == [
        "more-1.0-py3-none-any.whl",
        f"one-1.0-{PI}.whl",
        "pure-2.0-py3-none-any.whl",
    ]
    assert [entry["is_ours"] for entry in bundle.content["entries"]] == [False, True, False]


@pytest.mark.parametrize(("model", "packed"), [("4", ["one", "two"]), ("zero", ["one"])])
def test_what_a_64_bit_kernel_under_a_32_bit_system_needs_is_packed_too(pi, model, packed):
    make_wheel("one", requires=("two; platform_machine == 'aarch64'",))
    make_wheel("two")

    assert wheels_in(made("one", pi, model=model)) == [f"{name}-1.0-{PI}.whl" for name in packed]


def test_the_files_are_those_that_pip_on_that_pi_would_take(pi, upstream):
    arm64 = make_target("test-arm64-cp313", glibc="2.41")
    for name, tags in {
        "a": ["py3-none-any", PI],
        "b": ["py3-none-any", "cp313-cp313-linux_armv7l", "cp312-cp312-linux_armv7l"],
    }.items():
        for tag in tags:
            make_wheel(name, tag=tag)
    for name in "bc":
        upstream.add_wheel(name, "2.0", tag="cp313-cp313-manylinux_2_28_aarch64")
        upstream.add_wheel(name, "1.5", tag="py3-none-any")
        follow(upstream, name)

    for target, model in ((pi, "4"), (pi, "zero"), (arm64, "4")):
        bundle = made("a\nb\nc", target, model=model)
        machine, told = machine_of(target, BY_KEY[model]), SETUPS[Setup.PIP]
        packages = [UpstreamFile.objects.get(filename="c-1.5-py3-none-any.whl").version.package]
        packages += [make.package for make in _packages("a", "b")]
        taken = [
            choose(offers(held(each), told, current()), machine, Installer.PIP).taken.offer.filename
            for each in packages
        ]
        assert wheels_in(bundle) == sorted(taken)


def _packages(*names):
    return [Wheel.objects.filter(package__name=name).first() for name in names]


def test_bytes_that_upstream_did_not_list_are_refused(pi, upstream):
    upstream.add_wheel("pure", "1.0")
    follow(upstream, "pure")
    UpstreamFile.objects.update(sha256="c" * 64, metadata_sha256="")

    bundle = made("pure", pi)

    assert bundle.state == "failed"
    assert "has other bytes than it was listed with" in bundle.problem
    assert [path for path in work.zip_path("").parent.rglob("*") if path.is_file()] == []


def test_a_wheel_that_is_no_zip_is_passed_over(pi, upstream):
    upstream.add_wheel("pure", "2.0", b"no zip")
    upstream.add_wheel("pure", "1.0")
    follow(upstream, "pure")
    UpstreamFile.objects.update(metadata_sha256="")

    assert wheels_in(made("pure", pi)) == ["pure-1.0-py3-none-any.whl"]


def test_a_zip_of_very_many_members_is_not_listed(pi, upstream):
    crowd = io.BytesIO()
    with zipfile.ZipFile(crowd, "w") as archive:
        for number in range(MAX_MEMBERS + 1):
            archive.writestr(f"pure/{number}", b"")
    upstream.add_wheel("pure", "1.0", crowd.getvalue())
    follow(upstream, "pure")
    UpstreamFile.objects.update(metadata_sha256="")

    assert f"it has more than {MAX_MEMBERS} files" in made("pure", pi).problem


def test_a_zip_of_a_zip_bomb_is_not_unpacked(pi, upstream):
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("pure-1.0.dist-info/METADATA", bytes(64 << 20))
    upstream.add_wheel("pure", "1.0", bomb.getvalue())
    follow(upstream, "pure")
    UpstreamFile.objects.update(metadata_sha256="")

    assert "it has no METADATA that can be read" in made("pure", pi).problem


def test_what_no_database_can_hold_is_said_in_other_signs(pi, upstream):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("pure-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: pu\0re\nVersion: 1.0\n")
    upstream.add_wheel("pure", "1.0", content.getvalue())
    follow(upstream, "pure")
    UpstreamFile.objects.update(metadata_sha256="")

    bundle = made("pure", pi)

    assert (bundle.state, bundle.slot) == ("failed", None)
    assert "its METADATA is of pu\ufffdre" in bundle.problem


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a\0b\nMore.", "a\ufffdb\nMore."),
        ("a\ud800b", "a\ufffdb"),
        ("a" * 1_000_000, "a" * Bundle.MOST_PROBLEM),
    ],
)
def test_a_bundle_fails_whatever_there_is_to_say(pi, text, said):
    bundle = asked("one", pi)
    bundle.claim(1, database_now())

    assert bundle.fail(text, database_now())

    bundle.refresh_from_db()
    assert (bundle.state, bundle.problem) == ("failed", said)


@pytest.mark.parametrize(
    "filename",
    ["pure-1.0-py3-none-any/../x.whl", "pure-1.0-py3-none-a$(id).whl", "pure-1.0-py3-none-a\nb.whl"],
)
def test_names_of_files_that_no_wheel_has_are_not_packed(pi, upstream, filename):
    upstream.add_wheel("pure", "1.0")
    follow(upstream, "pure")
    UpstreamFile.objects.update(filename=filename)

    assert made("pure", pi).state == "failed"


def test_what_runs_only_on_another_system_is_not_packed(pi):
    make_wheel("one")

    assert "no file of one for Bookworm" in made("one", make_target("bookworm-armhf-cp313")).problem


def test_a_conflict_is_said(pi):
    make_wheel("one", requires=("two<1",))
    make_wheel("two")

    assert "one 1.0 needs two<1" in made("one", pi).problem


@pytest.fixture
def _short_numbers():
    """Have Python read no number of more than 640 digits, the least that it can be told."""
    before = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(640)
    yield
    sys.set_int_max_str_digits(before)


@pytest.mark.usefixtures("_short_numbers")
def test_what_nobody_foresaw_fails_the_bundle_and_keeps_nobody_elses_place(pi):
    make_wheel("one", requires=(f"two<{'1' * 700}",))
    make_wheel("two")

    bundle = made("one", pi)

    assert (bundle.state, bundle.slot) == ("failed", None)
    assert "The operators have a line" in bundle.problem


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("stranger", "this farm does not follow stranger"),
        ("other", "no wheel fits this machine"),
        ("one==7", "the newest is 1.0"),
    ],
)
def test_what_cannot_be_had_is_said(pi, text, why):
    make_wheel("one")
    make_wheel("other", tag="cp313-cp313-linux_armv7l")

    assert why in made(text, pi, model="zero").problem


def test_all_that_is_asked_for_and_cannot_be_had_is_said_at_once(pi):
    make_wheel("one")

    assert made("one\nstranger\nother", pi).problem.splitlines() == [
        "You ask for stranger: this farm does not follow stranger.",
        "You ask for other: this farm does not follow other.",
    ]


def test_what_is_withdrawn_upstream_is_in_no_bundle(pi):
    wheel = make_wheel("one")
    wheel.package.status = "quarantined"
    wheel.package.save()

    assert "one is quarantined upstream" in made("one", pi).problem


def test_a_wheel_whose_file_is_spoilt_is_not_packed(pi):
    wheel = make_wheel("one")
    with Path(default_storage.path(wheel.path)).open("r+b") as file:
        file.write(b"spoilt")

    bundle = made("one", pi)

    assert (bundle.state, wheels := list(work.zip_path("").parent.glob("*.zip"))) == ("failed", []), wheels
    assert "is not what it was when it was published" in bundle.problem


@pytest.mark.parametrize(
    ("setting", "value", "why"),
    [
        ("PIWHEELS_BUNDLE_PACKAGES", 1, "These are 2 wheels; 1 are the most"),
        ("PIWHEELS_BUNDLE_BYTES", 1000, "The largest is one"),
        ("PIWHEELS_BUNDLES_BYTES", 1000, "There is no room"),
        ("PIWHEELS_BUNDLE_S", 0, "It took more than 0 minutes"),
    ],
)
def test_a_bundle_has_limits(pi, settings, setting, value, why):
    make_wheel("one", requires=("two",), answer=10**400)
    make_wheel("two")
    setattr(settings, setting, value)

    assert why in made("one", pi).problem


def fetched():
    """Return the wheels of upstream's that were fetched and are kept."""
    return [path for path in work.zip_path("").parent.glob("upstream/*") if path.suffix != ".metadata"]


def add_large(upstream, *names):
    """Upload wheels of some 50 kB."""
    for name in names:
        upstream.add_wheel(name, "1.0", wheel_bytes(name, "1.0", padding=random.Random(1).randbytes(50_000)))
    follow(upstream, *names)


def test_what_there_is_no_room_for_with_its_archive_is_not_fetched(pi, upstream, settings):
    add_large(upstream, "pure")
    # What it needs is known already, so that nothing of it is fetched to find that out.
    UpstreamFile.objects.update(metadata_sha256="d" * 64)
    known = work.zip_path("").parent / "upstream" / f"{UpstreamFile.objects.get().sha256}.metadata"
    known.parent.mkdir(parents=True)
    known.write_text(metadata("pure", "1.0"))
    settings.PIWHEELS_BUNDLES_BYTES = 90_000

    bundle = made("pure", pi)

    assert "There is no room" in bundle.problem
    assert fetched() == []


def test_what_is_fetched_to_find_out_what_it_needs_has_room_or_is_not_fetched(pi, upstream, settings):
    add_large(upstream, "one", "two")
    settings.PIWHEELS_BUNDLES_BYTES = 90_000

    bundle = made("one\ntwo", pi)

    assert "There is no room" in bundle.problem
    assert len(fetched()) == 1


def test_a_wheel_of_unknown_size_is_fetched_as_far_as_there_is_room(pi, upstream, settings):
    add_large(upstream, "pure")
    UpstreamFile.objects.update(size=None)
    settings.PIWHEELS_BUNDLES_BYTES = 20_000

    bundle = made("pure", pi)

    assert "has more than 20000 bytes" in bundle.problem
    assert fetched() == []


def test_what_is_there_already_needs_no_room(pi, upstream, settings):
    add_large(upstream, "pure")
    first = made("pure", pi)
    settings.PIWHEELS_BUNDLES_BYTES = 1

    second = made("pure # again", pi, address=OTHER)

    assert second.pk != first.pk
    assert (second.state, second.digest) == ("ready", first.digest)


def test_a_client_has_so_many_a_day(pi, settings):
    settings.PIWHEELS_BUNDLES_A_DAY = 2
    now = database_now()
    for name in ("one", "two"):
        asked(name, pi, now=now)

    with pytest.raises(Refused, match="2 bundles a day") as refusal:
        asked("three", pi, now=now)
    assert refusal.value.status == 429
    assert asked("three", pi, now=now, address=OTHER)
    assert asked("three", pi, now=now + timedelta(days=1))


def test_nobody_may_ask_where_none_are_made_or_too_many_wait(pi, settings):
    settings.PIWHEELS_BUNDLES_A_DAY = 1
    for number in range(MOST_WAITING):
        asked(f"p{number}", pi, address=f"192.0.2.{number}")

    with pytest.raises(Refused, match="Too many"):
        asked("more", pi, address="192.0.2.99")
    settings.PIWHEELS_BUNDLES_A_DAY = 0
    with pytest.raises(Refused, match="makes no bundles"):
        asked("more", pi)


@pytest.mark.parametrize(
    ("text", "installed", "why"),
    [
        ("", "", "asks for nothing"),
        ("a\0", "", "no text"),
        ("a" * (2 << 20), "", "no text"),
        ("-r other.txt", "", "in another file"),
        ("a @ https://evil.test/a.whl", "", "comes from an address"),
        ("one", "{", "What is there already cannot be read"),
    ],
)
def test_what_no_worker_could_make_is_refused_at_once(pi, text, installed, why):
    with pytest.raises(CannotRead, match=why):
        asked(text, pi, installed=installed)
    assert Bundle.objects.count() == 0


def test_a_system_that_a_pi_cannot_run_is_refused(pi):
    with pytest.raises(CannotRun):
        asked("one", make_target("test-arm64-cp313"), model="zero")


def test_only_so_many_are_made_at_a_time(pi):
    first, second, third = (asked(name, pi, address=f"192.0.2.{name}") for name in "123")
    now = database_now()

    assert first.claim(2, now)
    assert not first.claim(2, now)
    assert second.claim(2, now)
    assert not third.claim(2, now)
    assert second.fail("no", now)
    assert third.claim(2, now)


def test_a_worker_that_was_given_up_changes_nothing(pi):
    now = database_now()
    old = asked("one", pi)
    old.claim(1, now)
    later = now + Bundle.SILENCE + timedelta(seconds=1)

    assert tidying.tidy(later) == 1
    new = Bundle.objects.get()
    assert new.claim(1, later)

    assert not old.note("still here", later)
    assert not old.finish("d" * 64, 1, {}, later)
    assert new.note("mine", later)


def test_a_clock_that_was_put_back_keeps_no_bundle_at_work_for_ever(pi):
    now = database_now()
    asked("one", pi).claim(1, now + timedelta(days=1))

    assert tidying.tidy(now) == 1
    assert Bundle.objects.get().claim(1, now)


def test_what_kills_its_workers_is_given_up(pi):
    now = database_now()
    asked("one", pi)
    for _ in range(Bundle.TRIES):
        Bundle.objects.get().claim(1, now)
        now += Bundle.SILENCE + timedelta(seconds=1)
        tidying.tidy(now)

    assert "broke off again and again" in Bundle.objects.get().problem


def test_what_is_kept_no_longer_goes_and_what_others_have_stays(pi, settings):
    make_wheel("one")
    first = made("one", pi)
    Bundle.objects.update(expires_at=database_now() - timedelta(seconds=1), asked_at=database_now())
    second = made("one # again", pi, address=OTHER)
    path = work.zip_path(first.digest)
    assert second.digest == first.digest
    crashed = path.parent / ".new-crashed"
    crashed.touch()
    for each in (path, crashed):
        os.utime(each, (0, 0))

    tidying.tidy(database_now())
    assert path.exists()
    assert not crashed.exists()

    Bundle.objects.update(expires_at=database_now() - timedelta(seconds=1))
    tidying.tidy(database_now())
    assert not path.exists()
    assert Bundle.objects.count() == 2
    tidying.tidy(database_now() + tidying.KEPT)
    assert Bundle.objects.count() == 0


def take_down(wheel):
    takedown.take_down([wheel], "Malware.", database_now())


def quarantine(wheel):
    Package.objects.filter(pk=wheel.package_id).update(status=Package.Status.QUARANTINED)


@pytest.mark.parametrize("deed", [take_down, quarantine])
def test_a_bundle_is_over_with_the_first_wheel_that_nobody_may_have_any_more(pi, deed):
    make_wheel("good")
    bad = make_wheel("bad")
    bundle, other = made("good\nbad", pi), made("good", pi, address=OTHER)
    paths = [work.zip_path(each.digest) for each in (bundle, other)]
    for path in paths:
        os.utime(path, (0, 0))

    deed(bad)

    assert not work.is_ready(bundle, database_now())
    tidying.tidy(database_now())
    assert [path.exists() for path in paths] == [False, True]


def test_a_bundle_is_over_once_upstream_has_removed_a_wheel_of_its_own_that_is_in_it(pi, upstream):
    upstream.add_wheel("pure", "1.0")
    upstream.add_wheel("pure", "2.0", tag="cp313-cp313-win_amd64")
    follow(upstream, "pure")
    bundle = made("pure", pi)
    assert work.is_ready(bundle, database_now())

    upstream.remove("pure", "1.0")
    follow(upstream, "pure")

    assert not work.is_ready(bundle, database_now())
    assert tidying.withdrawn([bundle]) == [bundle]


def test_a_zip_that_is_wanted_again_stays_until_its_row_comes(pi):
    make_wheel("one")
    path = work.zip_path(made("one", pi).digest)
    os.utime(path, (0, 0))
    made("one # again", pi, address=OTHER)

    Bundle.objects.all().delete()

    assert tidying.remove_files(database_now(), time.time()) == 0
    assert path.exists()


def test_a_zip_whose_row_comes_in_a_moment_stays(pi):
    path = work.zip_path("d" * 64)
    path.parent.mkdir(parents=True)
    path.touch()

    assert tidying.remove_files(database_now(), time.time()) == 0
    assert path.exists()
