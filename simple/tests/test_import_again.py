"""An import that is stopped, killed or said again goes on, and does nothing twice."""

import pytest
from django.db import connection, transaction
from django.utils import timezone

from builds.files.stored import MARK
from builds.importing import decisions
from builds.importing.builds import Importer
from builds.models import Build, Campaign, Target, Wheel
from builds.planning import campaigns, plan
from packages.importing import unskipped
from packages.importing.original import Original
from packages.models import ImportRefusal, ImportStep, Package, Version
from packages.progress_bar import ProgressBar
from simple import publishing
from simple.importing.run import Wishes, run
from simple.models import Download
from simple.tests.imports import everything, fill, imported, refusals
from simple.tests.pages import json_of

pytestmark = pytest.mark.django_db


def test_what_was_refused_is_taken_when_its_reason_is_gone_with_its_downloads(original):
    name = original.wheel(tag="py3-none-any")
    original.download(name, "2024-05-01")
    content = original.path("demo", name).read_bytes()
    original.path("demo", name).unlink()
    report, _ = imported(original)
    assert report["subjects"]["downloads"] == {"read": 1, "of no wheel here": 1}
    original.path("demo", name).write_bytes(content)
    assert imported(original)[1] == 1
    original.download(name, "2024-06-01")

    report, status = imported(original, "--again")

    assert status == 0
    assert report["subjects"]["files"]["written"] == report["subjects"]["files"]["read"] == 1
    assert report["subjects"]["builds"]["written"] == 1
    downloads = report["subjects"]["downloads"]
    assert (downloads["read"], downloads["written"], downloads["of no wheel here"]) == (2, 2, 0)
    assert list(Download.objects.order_by("day").values_list("count", flat=True)) == [1, 1]


def test_what_came_after_all_is_said_of_its_build(original):
    name = original.wheel(tag="py3-none-any")
    said = "src/demo.c:1:10: fatal error: ffi.h: No such file or directory\n"
    bad = original.build("bad", "1.0", is_good=False, log=said)
    paths = [original.path("demo", name), original.log(bad)]
    contents = [path.read_bytes() for path in paths]
    for path in paths:
        path.unlink()
    imported(original)
    assert endings() == [("failed", "file-lost", ""), ("failed", "unknown", "")]
    for path, content in zip(paths, contents, strict=True):
        path.write_bytes(content)

    imported(original, "--again")

    assert endings() == [("succeeded", "", ""), ("failed", "missing-header", "ffi.h")]
    assert "ffi.h" in Build.objects.get(pk=bad).reason


def endings():
    return list(Build.objects.order_by("pk").values_list("state", "failure", "failure_about"))


def test_a_build_that_keeps_one_of_its_files_stays_a_success(original):
    name = original.wheel()
    twin = name.replace("armv7l", "armv6l")
    original.path("demo", twin).unlink()
    original.path("demo", twin).write_bytes(b"short")
    imported(original)

    imported(original, "--again")

    assert refusals("files") == {twin: "it has another size than the database says"}
    assert endings() == [("succeeded", "", "")]


def test_a_file_that_was_lost_there_is_built_here_by_a_campaign(original):
    target = Target.objects.get(key="bookworm-armhf-cp311")
    target.activate()
    original.path("demo", original.wheel(tag="py3-none-any")).unlink()
    imported(original)
    Version.objects.get().files.create(
        filename="demo-1.0.tar.gz", kind="source", url="http://up.test/", sha256="0" * 64
    )
    campaigns.begin(
        Campaign(name="lost", kind=Campaign.Kind.FAILED, target=target, failure="file-lost"), timezone.now()
    )

    campaigns.advance(timezone.now())

    assert [str(build.version) for build in Build.objects.open()] == ["demo 1.0"]


class Killed(BaseException):
    """The process is gone."""


def killed_after(statements):
    """Return what lets so many statements through, and then kills."""
    left = [statements]

    def wrapper(execute, sql, params, many, context):
        # Whatever kills us, the database takes back by itself what was not committed.
        if sql.startswith(("SAVEPOINT", "RELEASE", "ROLLBACK")):
            return execute(sql, params, many, context)
        left[0] -= 1
        if left[0] < 0:
            raise Killed
        return execute(sql, params, many, context)

    return wrapper, left


def test_a_kill_at_any_statement_loses_nothing_and_doubles_nothing(original):
    fill(original)
    # Twice, as what Django asks for once and keeps is asked for by none of those that are killed.
    for _ in range(2):
        with transaction.atomic():
            counting, left = killed_after(100_000)
            with connection.execute_wrapper(counting):
                imported(original)
            expected, count = everything(), 100_000 - left[0]
            transaction.set_rollback(True)

    for statement in range(2, count, 9):
        with transaction.atomic():
            with pytest.raises(Killed), connection.execute_wrapper(killed_after(statement)[0]):
                imported(original)
            imported(original)
            assert everything() == expected, f"killed at statement {statement} of {count}"
            transaction.set_rollback(True)


def test_doing_it_twice_is_the_same_as_once(original):
    fill(original)
    imported(original)
    first = everything()

    imported(original)

    assert everything() == first


def test_what_is_new_there_comes_with_the_next_import(original):
    fill(original)
    imported(original)
    new = original.wheel("newer", "1.0", tag="py3-none-any")
    original.version("demo", "9.0")
    original.sql("UPDATE versions SET yanked = true WHERE version = '2.0'")

    imported(original)

    assert Wheel.objects.filter(filename=new).exists()
    assert Version.objects.filter(number="9.0").exists()
    assert Version.objects.get(number="2.0").yanked


def test_a_file_that_was_made_anew_there_keeps_its_bytes_here(original):
    name = original.wheel("demo", "1.0", tag="py3-none-any")
    imported(original)
    sha256 = Wheel.objects.get().sha256
    original.wheel("demo", "1.0", tag="py3-none-any", abi="cp313", answer=43)

    imported(original)

    assert "the bytes behind a name never change" in refusals("files")[name]
    assert Wheel.objects.get().sha256 == sha256


def test_a_dry_run_says_the_same_and_writes_nothing(original):
    fill(original)

    dry, status = imported(original, "--dry-run")

    assert status == 1
    assert not (Package.objects.exists() or ImportStep.objects.exists() or ImportRefusal.objects.exists())
    assert [path.name for path in (original.folder.parent / "files").iterdir()] == [MARK]
    real, _ = imported(original)
    for subject in ("packages", "names", "versions", "builds", "files", "logs", "dependencies"):
        assert dry["subjects"][subject] == real["subjects"][subject], subject
    assert dry["refused"] == real["refused"]


def test_more_builds_than_one_page_has_come_in_once(original):
    original.abi("cp311")
    original.package("many")
    original.sql("INSERT INTO versions SELECT 'many', '1.' || n FROM generate_series(1, 1201) n")
    original.sql(
        "INSERT INTO builds (package, version, built_by, built_at, duration, status, abi_tag)"
        " SELECT 'many', '1.' || n, 1, timestamp '2024-01-01' + n * interval '1 hour', '1 s',"
        " false, 'cp311'"
        " FROM generate_series(1, 1201) n"
    )

    report, _ = imported(original)

    assert report["subjects"]["builds"]["written"] == Build.objects.count() == 1201
    assert report["refused"]["logs"] == {"there is no such file": 1201}


def yanks(client):
    """Return of each file whether the index has it yanked, or why."""
    publishing.publish(timezone.now())
    return {file["filename"]: file["yanked"] for file in json_of(client)["files"]}


def looked_up(yanked, reason=""):
    """Have upstream tell what it says of the version, as its first look-up does."""
    Package.objects.update(fetched_at=timezone.now())
    Version.objects.filter(number="1.0").update(yanked=yanked, yanked_reason=reason)
    Package.objects.get().mark_changed()


def test_what_their_operator_yanked_stays_yanked_when_upstream_does_not_say_so(original, client):
    broken, good = original.wheel(tag="py3-none-any"), original.wheel(number="2.0", tag="py3-none-any")
    original.sql("UPDATE versions SET yanked = true WHERE version = '1.0'")
    imported(original)
    assert yanks(client) == {broken: True, good: False}

    looked_up(False)

    assert yanks(client) == {broken: True, good: False}
    assert Wheel.objects.get(filename=broken).is_yanked_by_hand


def test_what_upstream_yanks_too_is_left_to_upstream(original, client):
    name = original.wheel(tag="py3-none-any")
    original.sql("UPDATE versions SET yanked = true")
    imported(original)
    looked_up(True, "broken")
    assert yanks(client) == {name: "broken"}

    report, _ = imported(original)
    looked_up(False)

    assert report["subjects"]["decisions"]["left to upstream"] == 1
    assert yanks(client) == {name: False}


def test_what_is_yanked_there_no_more_is_yanked_here_no_more_with_the_next_import(original, client):
    ended, ours = (
        original.wheel("demo", "1.0", tag="py3-none-any"),
        original.wheel("demo", "2.0", tag="py3-none-any"),
    )
    original.sql("UPDATE versions SET yanked = true WHERE version = '1.0'")
    imported(original)
    Wheel.objects.get(filename=ours).yank("Ours alone.")
    assert yanks(client) == {ended: True, ours: "Ours alone."}
    original.sql("UPDATE versions SET yanked = false")

    report, _ = imported(original)

    assert yanks(client) == {ended: False, ours: "Ours alone."}
    assert report["subjects"]["decisions"]["yanked there no more"] == 1


def test_what_was_yanked_there_since_is_yanked_with_the_next_import(original, client):
    name = original.wheel(tag="py3-none-any")
    imported(original)
    looked_up(False)
    original.sql("UPDATE versions SET yanked = true")

    imported(original)

    assert yanks(client) == {name: True}


def test_a_build_that_was_committed_after_a_later_one_comes_with_the_next_import(original):
    first = original.build("demo", "1.0")
    original.sql("SELECT setval('builds_build_id_seq', %s)", first + 1)
    original.wheel("demo", "3.0", tag="py3-none-any")
    imported(original)
    original.sql("SELECT setval('builds_build_id_seq', %s)", first)
    late = original.wheel("demo", "2.0", tag="py3-none-any")

    report, status = imported(original)
    again, _ = imported(original)

    assert status == 0
    assert Wheel.objects.get(filename=late).build_id == first + 1
    assert report["subjects"]["builds"]["written"] == again["subjects"]["builds"]["written"] == 3


@pytest.mark.parametrize("package", ["demo", "newer"])
def test_what_is_released_and_built_there_during_an_import_comes_with_it(original, monkeypatch, package):
    original.wheel("demo", "1.0", tag="py3-none-any")
    built = []
    take = Importer.take

    def take_late(self):
        """Have the other farm build a release, of which a version has come since the versions were read."""
        built.append(original.wheel(package, "2.0", tag="py3-none-any"))
        original.download(built[0], "2024-05-01")
        take(self)

    monkeypatch.setattr(Importer, "take", take_late)
    report, status = imported(original)

    assert status == 0
    assert Wheel.objects.filter(filename=built[0]).exists()
    assert report["subjects"]["builds"]["read"] == report["subjects"]["builds"]["written"] == 2
    assert report["subjects"]["versions"]["written"] == 2
    assert report["subjects"]["downloads"]["written"] == 1


def test_what_was_skipped_there_since_comes_also_of_packages_that_were_looked_up(original):
    original.package("demo")
    original.version("demo", "1.0")
    imported(original)
    Package.objects.update(fetched_at=timezone.now())
    original.sql("UPDATE packages SET skip = 'takes a week'")
    original.sql("UPDATE versions SET skip = 'does not end'")

    imported(original)

    found = (Package.objects.get().skip_reason, Version.objects.get().skip_reason)
    assert found == ("takes a week", "does not end")


def test_a_build_that_comes_behind_one_that_waits_here_is_not_built_again(original):
    Target.objects.get(key="bookworm-armhf-cp311").activate()
    original.package("demo")
    original.version("demo", "1.0")
    imported(original)
    version = Version.objects.get()
    version.files.create(filename="demo-1.0.tar.gz", kind="source", url="http://up.test/", sha256="0" * 64)
    plan.plan_changed(timezone.now(), 100)
    assert Build.objects.open().count() == 1
    original.wheel("demo", "1.0")
    imported(original)

    plan.plan_changed(timezone.now(), 100)

    assert not Build.objects.open().exists()
    assert Build.objects.get(state="succeeded").attempt == 2


def test_what_was_forgotten_here_does_not_come_back_with_the_next_import(original):
    original.build("demo", "1.0", is_good=False)
    original.build("demo", "2.0", is_good=False)
    imported(original)
    Build.objects.all().delete()

    imported(original)

    assert not Build.objects.exists()


def test_what_was_removed_there_since_is_said_and_stays(original):
    gone, left = original.wheel(tag="py3-none-any"), original.wheel(number="2.0", tag="py3-none-any")
    assert imported(original)[1] == 0
    original.sql("DELETE FROM files WHERE filename = %s", gone)

    report, status = imported(original)

    assert status == 1
    assert report["refused"] == {"decisions": {decisions.REMOVED: 1}}
    assert refusals("decisions") == {gone: decisions.REMOVED}
    assert set(Wheel.objects.listed().values_list("filename", flat=True)) == {gone, left}
    Wheel.objects.get(filename=gone).withdraw(timezone.now())
    assert imported(original)[1] == 0


def test_what_was_unskipped_there_since_is_said(original):
    original.package("demo", skip="takes a week")
    original.package("still", skip="takes a week")
    for number in ("1.0", "2.0"):
        original.version("still", number, skip="does not end")
    assert imported(original)[1] == 0
    original.sql("UPDATE packages SET skip = '' WHERE package = 'demo'")
    original.sql("UPDATE versions SET skip = 'binary only' WHERE version = '2.0'")

    imported(original)

    assert refusals("decisions") == {"demo": unskipped.REASON, "still 2.0": unskipped.REASON}
    Package.objects.get(name="demo").unskip()
    Version.objects.get(number="2.0").unskip()
    assert imported(original)[1] == 0


def test_what_was_refused_and_deleted_there_since_is_forgotten(original):
    gone, lost = original.wheel("gone", tag="py3-none-any"), original.wheel(tag="py3-none-any")
    odd = original.build("odd", "1.0")
    original.row(odd, "../odd-1.0-py3-none-any.whl\n", b"odd")
    for package, name in (("gone", gone), ("demo", lost)):
        original.path(package, name).unlink()
    imported(original)
    assert len(refusals("files")) == 3
    original.sql("DELETE FROM builds WHERE package = 'gone'")
    original.sql("DELETE FROM files WHERE filename = %s", lost)

    imported(original, "--again")

    assert refusals("files") == {
        "../odd-1.0-py3-none-any.whl\ufffd": "its name is no wheel's plain file name"
    }


def test_all_that_was_read_of_a_refused_build_is_refused(original):
    original.wheel("demo", "1.0", apt=("libffi8", "libxslt1.1"), tag="py3-none-any")
    original.sql("UPDATE builds SET built_at = 'infinity'")

    report, _ = imported(original)

    for subject, count in {"builds": 1, "logs": 1, "files": 1, "dependencies": 2}.items():
        assert report["subjects"][subject]["read"] == count
        assert sum(report["refused"][subject].values()) == count, subject
    original.sql("UPDATE builds SET built_at = '2024-03-01'")
    assert imported(original, "--again")[1] == 0


def test_no_day_is_taken_that_was_not_over_when_the_builds_were_read(original):
    """The builds of a night's import may be of the day before its downloads."""
    original.sql("CREATE TABLE clock AS SELECT timestamptz '2024-05-02 23:59 UTC' AS time")
    sql = "CREATE FUNCTION now() RETURNS timestamptz AS 'SELECT time FROM clock' LANGUAGE sql STABLE"
    original.sql(sql)
    name = original.wheel(tag="py3-none-any")
    original.download(name, "2024-05-01")
    original.download(name, "2024-05-02")

    class Midnight(ProgressBar):
        def show(self, text):
            if text == "builds":
                original.sql("UPDATE clock SET time = '2024-05-03 00:01 UTC'")

    # Theirs before PostgreSQL's own, so that their day can be changed.
    url = f"{original.url}?options=-csearch_path%3Dpublic,pg_catalog"
    with Original(url) as there:
        run(there, Wishes(original.folder), timezone.now(), Midnight)

    assert [str(day) for day in Download.objects.values_list("day", flat=True)] == ["2024-05-01"]


def test_what_was_deleted_there_since_is_said_also_where_its_row_stays(original):
    original.keep_deleted_rows()
    gone = original.wheel(tag="py3-none-any")
    imported(original)
    original.delete("demo", gone)

    imported(original)

    assert refusals("decisions") == {gone: decisions.REMOVED}
