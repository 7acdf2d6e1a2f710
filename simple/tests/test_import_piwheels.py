"""What a farm of piwheels.org's own software has is here after an import, at its old addresses."""

import io
import json
from datetime import UTC, date, datetime

import pytest
from django.contrib.admin.models import LogEntry
from django.core.management import CommandError, call_command
from django.test import Client

from builds.models import Build, Builder, Dependency, Target, Wheel
from builds.planning import plan
from packages.models import Package, Version
from simple import publishing
from simple.models import Download, DownloadDay, Miss, PackageDownload
from simple.tests.imports import fill, imported
from simple.tests.pages import json_of
from tests import sdists

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)


def test_an_empty_farm_comes_in_as_nothing(original):
    report, status = imported(original)

    assert status == 0
    assert report["refused"] == {}
    assert not Package.objects.exists()


def test_packages_come_with_their_spellings_and_skips(original):
    original.package("my-demo", "My.Demo", "my_demo", summary="A demo")
    original.package("big", "big", skip="takes a week")

    imported(original)

    demo = Package.objects.get(name="my-demo")
    assert (demo.display_name, demo.summary, demo.skip_reason) == ("My.Demo", "A demo", "")
    assert set(demo.aliases.values_list("name", flat=True)) == {"My.Demo", "my_demo"}
    assert Package.objects.get(name="big").skip_reason == "takes a week"


def test_versions_come_yanked_and_skipped_and_also_those_that_pip_cannot_read(original):
    original.package("demo")
    original.version("demo", "1.0", yanked=True)
    original.version("demo", "1.1", skip="does not end")
    original.version("demo", "1.2", skip="binary only")
    original.version("demo", "1.0.0.alpha (Ninken)")

    imported(original)

    rows = {version.number: version for version in Version.objects.all()}
    assert rows["1.0"].yanked
    assert rows["1.1"].skip_reason == "does not end"
    assert rows["1.2"].skip_reason == ""
    assert rows["1.0.0.alpha (Ninken)"].canonical == ""
    assert rows["1.0"].released_at == datetime(2024, 3, 1, 12, tzinfo=UTC)


def test_a_wheel_and_its_twin_are_served_at_their_old_addresses(original):
    name = original.wheel("demo", "1.0", requires_python=">=3.9", requires=("six>=1.0",), apt=("libxslt1.1",))
    twin = name.replace("armv7l", "armv6l")

    report, status = imported(original)
    publishing.publish(NOW)

    assert (status, report["subjects"]["files"]["written"]) == (0, 2)
    files = {file["filename"]: file for file in json_of(Client())["files"]}
    assert files.keys() == {name, twin}
    assert files[name]["requires-python"] == ">=3.9"
    content = original.path("demo", name).read_bytes()
    for filename in (name, twin):
        assert b"".join(Client().get(f"/simple/demo/{filename}")) == content
    needs = set(Dependency.objects.filter(wheel__filename=name).values_list("tool", "name", "requirement"))
    assert needs == {("apt", "libxslt1.1", "libxslt1.1"), ("pip", "six", "six>=1.0")}


def test_files_are_linked_on_the_same_disk_and_copied_when_that_is_asked_for(original):
    name = original.wheel()
    other = original.wheel("other", tag="py3-none-any")

    imported(original)

    for package, filename in (("demo", name), ("other", other)):
        wheel = Wheel.objects.get(filename=filename)
        stored = original.folder.parent / "files" / wheel.path
        assert stored.samefile(original.path(package, filename))


def test_a_copy_is_a_file_of_its_own(original):
    name = original.wheel()

    imported(original, "--copy")

    stored = original.folder.parent / "files" / Wheel.objects.get(filename=name).path
    assert stored.read_bytes() == original.path("demo", name).read_bytes()
    assert not stored.samefile(original.path("demo", name))


def test_builds_keep_their_numbers_times_and_builders(original):
    original.sql("SELECT setval('builds_build_id_seq', 8001000)")
    good = original.build("demo", "1.0", "cp311", is_good=False, built_by=7, duration_s=61)
    original.wheel("demo", "1.0", built_by=8)

    imported(original)

    first = Build.objects.get(pk=good)
    assert (first.state, first.attempt, first.duration_s) == ("failed", 1, 61)
    assert first.finished_at.replace(tzinfo=None).isoformat() == "2024-03-01T12:00:00"
    assert (first.builder.name, first.target.key) == ("imported-7", "bookworm-armhf-cp311")
    second = Build.objects.get(pk=good + 1)
    assert (second.state, second.attempt, second.builder.name) == ("succeeded", 2, "imported-8")
    assert not Builder.objects.filter(is_enabled=True).exists()


def test_a_new_build_of_ours_gets_a_number_behind_theirs(original):
    theirs = original.build("demo", "1.0")
    imported(original)

    ours = Build.objects.create(
        version=Version.objects.get(), target=Target.objects.get(key="trixie-armhf-cp313")
    )

    assert ours.pk > theirs + 1000


def test_a_log_is_served_at_its_old_address_and_tells_why_a_build_failed(original):
    failed = original.build(
        "demo", "1.0", is_good=False, log="src/demo.c:1:10: fatal error: ffi.h: No such file or directory\n"
    )

    imported(original)

    build = Build.objects.get()
    assert (build.failure, build.failure_about) == ("missing-header", "ffi.h")
    digits = f"{failed:012d}"
    answer = Client().get(f"/logs/{digits[:4]}/{digits[4:8]}/{digits[8:]}.txt")
    assert b"ffi.h" in answer.content


def test_success_without_a_file_is_a_failure_unless_a_later_build_has_made_it_anew(original):
    replaced = [original.build(name, "1.0", "cp39") for name in ("pure", "stable", "again")]
    nothing = [original.build("nothing", "1.0"), original.build("other", "1.0", "cp39")]
    original.wheel("pure", "1.0", tag="py3-none-any")
    original.wheel("stable", "1.0", tag="cp39-abi3-linux_armv7l")
    original.wheel("again", "1.0", tag="cp39-cp39-linux_armv7l", abi="cp39")
    # Their names are others than that of the one before had, or it came after them.
    original.wheel("other", "1.0", tag="cp311-cp311-linux_armv7l")
    nothing.append(original.build("pure", "1.0", "cp37m"))

    imported(original)

    states = dict(Build.objects.values_list("pk", "state"))
    assert {states[build] for build in replaced} == {"succeeded"}
    assert {states[build] for build in nothing} == {"failed"}


def test_files_that_were_deleted_there_are_counted_and_not_missed(original):
    original.keep_deleted_rows()
    half = original.wheel("half")
    original.delete("half", half.replace("armv7l", "armv6l"))
    original.delete("gone", original.wheel("gone", tag="py3-none-any"))

    report, status = imported(original)

    assert (status, report["refused"]) == (0, {})
    files = report["subjects"]["files"]
    assert (files["read"], files["written"], files["deleted there"]) == (3, 1, 2)
    assert set(Build.objects.values_list("state", flat=True)) == {"succeeded"}
    assert Wheel.objects.get().filename == half


def test_success_is_not_explained_by_the_deleted_file_of_another_build(original):
    original.keep_deleted_rows()
    nothing = original.build("demo", "1.0", "cp39")
    original.delete("demo", original.wheel("demo", "1.0", tag="py3-none-any"))

    imported(original)

    assert Build.objects.get(pk=nothing).failure == "no-wheel"


def test_files_of_an_archive_come_from_its_folder(original, tmp_path):
    build = original.build("demo", "1.0")
    name, content = "demo-1.0-py3-none-any.whl", sdists.make_wheel("demo", "1.0")
    original.row(build, name, content, location="https://far.example.org")
    (tmp_path / "far" / "demo").mkdir(parents=True)
    (tmp_path / "far" / "demo" / name).write_bytes(content)

    _, status = imported(original, "--archive", f"https://far.example.org={tmp_path / 'far'}")

    assert status == 0
    assert Wheel.objects.get().filename == name


def test_a_twin_whose_file_was_moved_to_an_archive_comes_with_its_bytes(original, tmp_path):
    name = original.wheel()
    (tmp_path / "far" / "demo").mkdir(parents=True)
    original.path("demo", name).rename(tmp_path / "far" / "demo" / name)
    url = "https://far.example.org/simple"
    original.sql("UPDATE files SET location = %s WHERE filename = %s", url, name)

    _, status = imported(original, "--archive", f"{url}={tmp_path / 'far'}")

    assert status == 0
    assert Wheel.objects.count() == 2


def test_downloads_are_counted_once_a_day_for_each_client(original):
    name = original.wheel(tag="py3-none-any")
    for address in ("192.0.2.1", "192.0.2.1", "192.0.2.2"):
        original.download(name, "2024-05-01", address)
    original.download(name, "2024-05-01", "192.0.2.3", installer_name="evil\x01", arch="z80")
    original.download(name, "2024-05-03", "192.0.2.1")
    original.download("unknown-1.0-py3-none-any.whl", "2024-05-03")
    original.download(name, "3024-05-03")

    imported(original)

    counted = {
        (row.day, row.client.installer): row.count for row in Download.objects.select_related("client")
    }
    assert counted == {
        (date(2024, 5, 1), "pip"): 2,
        (date(2024, 5, 1), "other"): 1,
        (date(2024, 5, 3), "pip"): 1,
    }
    assert PackageDownload.objects.get(day=date(2024, 5, 1)).count == 3
    assert dict(DownloadDay.objects.values_list("day", "count")) == {date(2024, 5, 1): 3, date(2024, 5, 3): 1}
    client = Download.objects.get(day=date(2024, 5, 3)).client
    assert (client.os, client.os_release, client.python, client.architecture) == (
        "raspbian",
        "12",
        "3.11",
        "armv7l",
    )


def test_look_ups_in_vain_of_the_last_days_are_taken(original):
    original.wheel("here", tag="py3-none-any")
    original.package("wanted")
    for package, days in [("here", 3), ("wanted", 3), ("wanted", 3), ("wanted", 0), ("wanted", 200)]:
        original.sql(
            "INSERT INTO searches VALUES (%s, '192.0.2.1', (now() AT TIME ZONE 'UTC')::date - %s)",
            package,
            days,
        )

    imported(original)

    assert list(Miss.objects.values_list("package__name", "count")) == [("wanted", 2)]


def test_what_came_in_is_not_built_again(original):
    target = Target.objects.get(key="bookworm-armhf-cp311")
    target.activate()
    original.wheel("demo", "1.0")
    original.build("bad", "1.0", is_good=False)
    imported(original)
    for version in Version.objects.all():
        filename = f"{version.package.name}-{version.number}.tar.gz"
        version.files.create(filename=filename, kind="source", url="http://up.test/", sha256="0" * 64)
    Package.objects.get(name="demo").versions.create(number="2.0", canonical="2.0").files.create(
        filename="demo-2.0.tar.gz", kind="source", url="http://up.test/", sha256="0" * 64
    )

    plan.plan_changed(NOW, 100)

    assert [str(build.version) for build in Build.objects.open()] == ["demo 2.0"]


def test_the_project_page_shows_what_came_in(original):
    Target.objects.get(key="bookworm-armhf-cp311").activate()
    original.wheel("demo", "1.0", apt=("libffi8",))
    imported(original)

    page = Client().get("/project/demo/").content.decode()

    assert "demo-1.0-cp311-cp311-linux_armv7l.whl" in page
    assert "libffi8" in page


def test_an_old_release_gets_a_target_that_is_not_built_for(original):
    original.wheel("demo", "1.0", tag="cp34-cp34m-linux_armv7l", abi="cp34m")
    original.sql("INSERT INTO preinstalled_apt_packages VALUES ('cp34m', 'libffi6')")

    imported(original)

    target = Target.objects.get(key="jessie-armhf-cp34m")
    assert (target.is_active, target.preinstalled) == (False, ["libffi6"])
    assert Wheel.objects.count() == 2


def test_the_report_is_also_a_file_and_lines_for_people(original, tmp_path):
    fill(original)
    out = io.StringIO()

    with pytest.raises(CommandError, match="were refused"):
        call_command(
            "import_piwheels",
            original.url,
            str(original.folder),
            "--report",
            str(tmp_path / "r.json"),
            stdout=out,
        )

    assert json.loads((tmp_path / "r.json").read_text())["subjects"]["files"]["read"] == 4
    assert "files: 4 read, 3 written, 1 refused" in out.getvalue()
    assert "  1 files: there is no such file" in out.getvalue()


def test_a_wheel_that_several_systems_may_take_is_read_as_a_whole(original):
    shared = original.wheel("shared", tag="py3-none-linux_armv7l")

    imported(original)

    assert Wheel.objects.get(filename=shared).content_sha256


def test_a_report_that_cannot_be_written_is_said_before_the_work(original, tmp_path):
    fill(original)

    with pytest.raises(CommandError, match=r"cannot be written.*Nothing was done\.") as refusal:
        imported(original, "--report", str(tmp_path / "nowhere" / "import.json"))

    assert refusal.value.returncode == 2
    assert not Package.objects.exists()


def test_a_report_that_does_not_fit_on_the_disk_is_printed_all_the_same(original):
    fill(original)
    out = io.StringIO()

    with pytest.raises(CommandError, match="All was done, but the report could not be written"):
        call_command(
            *("import_piwheels", original.url, str(original.folder), "--json", "--report", "/dev/full"),
            stdout=out,
        )

    assert json.loads(out.getvalue())["subjects"]["files"]["written"]
    assert LogEntry.objects.get().change_message.startswith(f"import farm: {original.folder} was taken over")


def test_to_try_an_import_is_no_deed(original):
    imported(original, "--dry-run")

    assert not LogEntry.objects.exists()
