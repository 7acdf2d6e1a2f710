import gzip
from datetime import timedelta

import pytest

from builds.files import logs, stored
from builds.models import Build, Target, Wheel
from builds.shown import relatives, timeline
from builds.tests.rows import (
    NOON,
    make_build,
    make_builder,
    make_running_build,
    make_target,
    make_version,
    make_wheel,
)
from packages.models import UpstreamFile
from tests.seen import markup, text

pytestmark = pytest.mark.django_db

TRIXIE, BOOKWORM = "trixie-armhf-cp313", "bookworm-armhf-cp311"


def make_ended(version, state="succeeded", *, key=TRIXIE, log=b"hello\n", **fields):
    """A build that ended, with its log."""
    build = make_build(version, make_target(key), state=state, finished_at=NOON, **fields)
    logs.append(build.pk, 0, log)
    logs.keep(build.pk)
    return build


def steps(build, now=NOON):
    return [(step.title, step.lasted_s, step.is_now) for step in timeline.steps(build, now)]


def test_a_build_that_ended_has_its_states_with_how_long_each_took():
    build, _ = make_running_build()
    hour = timedelta(hours=1)
    rang_at = NOON - hour - timedelta(minutes=1)
    Build.objects.update(queued_at=NOON - 2 * hour, rang_at=rang_at, claimed_at=NOON - hour)
    build.refresh_from_db()
    build.close(Build.State.SUCCEEDED, "", NOON)

    assert steps(build) == [
        ("Queued", 3540, False),
        ("Given to pi-07", 60, False),
        ("Building on pi-07", 3600, False),
        ("Checked and published", None, False),
    ]


def test_a_build_that_waits_has_its_states_to_come():
    assert steps(make_build(queued_at=NOON), NOON + timedelta(minutes=1)) == [
        ("Queued", 60, True),
        ("Given to a builder", None, False),
        ("Building", None, False),
        ("Uploading", None, False),
        ("Checked and published", None, False),
    ]


def test_a_build_that_uploads_is_there_now():
    build, _ = make_running_build()
    build.begin_upload()

    assert steps(build)[-2:] == [("Uploading", None, True), ("Checked and published", None, False)]
    assert [title for title, _, is_now in steps(build) if is_now] == ["Uploading"]


def test_a_build_that_was_cancelled_in_the_queue_was_given_to_nobody():
    build = make_build(queued_at=NOON - timedelta(minutes=5))
    build.cancel("no", NOON)

    assert steps(build) == [("Queued", 300, False), ("Cancelled", None, False)]


def test_a_failed_build_is_compared_with_what_went_well_before_and_elsewhere(django_assert_num_queries):
    older, old, new = (
        make_version(number, released_at=NOON - timedelta(days=days))
        for number, days in [("1.0", 9), ("1.1", 8), ("1.2", 1)]
    )
    make_ended(older, released_at=older.released_at)
    before = make_ended(old, released_at=old.released_at)
    elsewhere = make_ended(new, key=BOOKWORM)
    make_ended(make_version("1.3"), released_at=NOON)
    lost = make_ended(new, "lost")
    failed = make_ended(new, "failed", attempt=2, released_at=new.released_at)
    again = make_build(new, make_target(TRIXIE), attempt=3)

    with django_assert_num_queries(2):
        found = relatives.of(failed)

    assert [other.pk for _, other in found.compared] == [elsewhere.pk, before.pk, lost.pk]
    assert (found.before, found.after) == (lost, again)
    assert found.elsewhere == [elsewhere]


def test_a_good_build_has_nothing_to_be_compared_with():
    version = make_version()
    make_ended(version, key=BOOKWORM)

    assert relatives.of(make_ended(version)).compared == []


def test_the_page_of_a_failure_says_first_why_and_what_to_try(client):
    version = make_version()
    good = make_ended(version, key=BOOKWORM)
    log = b"[piwheels: fetching x]\nBuilding wheels for collected packages: demo\n"
    log += b"a.c: fatal error: ffi.h: No\nend\n"
    build = make_ended(version, "failed", log=log, failure="missing-header", failure_about="ffi.h")

    response = client.get(build.get_absolute_url())
    page = response.content.decode()

    assert text(response).index("Failed: A header is missing") < text(response).index("Log 4 lines")
    assert '<span id="L3" class="marked">' in page
    assert 'href="?from=1#L3"' in page
    assert "✘ Building the wheel" in text(response)
    assert f'href="/builds/{good.pk}...{build.pk}/diff"' in page
    assert f'href="/{stored.log_name(build.pk)}"' in page
    assert 'http-equiv="refresh"' not in page
    assert "<script" not in page


def test_the_page_of_a_good_build_says_how_to_install_what_came_out(client):
    build, _ = make_running_build()
    wheel = make_wheel(build=build, filename="demo-1.0-cp313-cp313-linux_armv7l.whl")
    wheel.dependencies.create(tool="apt", name="libffi8")
    build.close(Build.State.SUCCEEDED, "", NOON, 72.0)

    page = text(client.get(build.get_absolute_url()))

    assert "✔ Built in 1 min 12 s on pi-07" in page
    assert (
        "sudo apt install libffi8 pip install --extra-index-url http://testserver/simple/"
        " --trusted-host testserver demo==1.0"
    ) in page
    assert wheel.sha256 in page


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"held_reason": "x"}, "built, but held until an operator"),
        ({"withdrawn_at": NOON, "withdrawn_reason": "malware"}, "built, but withdrawn: malware."),
        ({"yanked": True, "yanked_reason": "It crashes."}, "Its wheel is yanked here: It crashes."),
        ({"held_reason": "x", "withdrawn_at": NOON, "withdrawn_reason": "x"}, "built, but withdrawn: x."),
    ],
)
def test_nobody_is_told_to_install_what_pip_is_not_offered(client, fields, says):
    build, _ = make_running_build()
    make_wheel(build=build)
    Wheel.objects.update(**fields)
    build.close(Build.State.SUCCEEDED, "", NOON, 72.0)

    page = text(client.get(build.get_absolute_url()))

    assert says in page
    assert "pip install" not in page


def test_nobody_is_told_to_install_what_upstream_took_back(client):
    build, _ = make_running_build()
    make_wheel(build=build)
    build.close(Build.State.SUCCEEDED, "", NOON, 72.0)
    UpstreamFile.objects.update(yanked=True, yanked_reason="broken")

    page = text(client.get(build.get_absolute_url()))

    assert "Its wheel is yanked upstream: broken." in page
    assert "pip install" not in page


def test_what_the_image_has_is_not_asked_for(client):
    build, _ = make_running_build()
    wheel = make_wheel(build=build)
    wheel.dependencies.create(tool="apt", name="libc6")
    wheel.dependencies.create(tool="pip", name="numpy", requirement="numpy>=2")
    build.close(Build.State.SUCCEEDED, "", NOON, 72.0)
    Target.objects.update(preinstalled=["libc6"])

    page = markup(client.get(build.get_absolute_url()))

    assert "libc6" not in page
    assert "<dt>apt packages</dt><dd>none</dd> <dt>pip</dt><dd>numpy&gt;=2</dd>" in page


def test_a_page_that_is_read_elsewhere_in_the_log_stays_as_it_is(client):
    build, _ = make_running_build()
    logs.append(build.pk, 0, b"one\ntwo\n")
    assert 'href="?from=1#log"' in client.get(build.get_absolute_url()).content.decode()

    for question in ("?from=1", "?find=two"):
        page = client.get(build.get_absolute_url() + question).content.decode()
        assert "hx-get" not in page
        assert 'http-equiv="refresh"' not in page


def test_a_word_is_found_without_a_script_and_leads_to_its_line(client):
    build = make_ended(make_version(), log=b"one\n<b>two</b>\nthree\n")

    page = client.get(build.get_absolute_url() + "?find=TWO").content.decode()

    assert 'value="TWO"' in page
    assert '<a href="?from=2#L2" tabindex="-1">2</a>&lt;b&gt;<mark>two</mark>&lt;/b&gt;' in page
    nothing = client.get(build.get_absolute_url() + '?find="><script>').content.decode()
    assert "No line has “&quot;&gt;&lt;script&gt;”" in nothing


@pytest.mark.parametrize(
    "question", ["?from=x", "?from=-1", "?from=\u0663", "?from=" + "9" * 30, "?find=%00"]
)
def test_what_a_page_is_asked_for_need_not_make_sense(client, question):
    build = make_ended(make_version())

    assert client.get(build.get_absolute_url() + question).status_code == 200


def test_a_page_asks_as_often_for_many_rows_as_for_few(client, django_assert_num_queries):
    version = make_version()
    build, _ = make_running_build(make_builder(), version=version)
    make_wheel(build=build, filename="demo-1.0-1-py3-none-any.whl")
    build.close(Build.State.FAILED, "no", NOON, 1.0, failure="missing-header", failure_about="ffi.h")
    with django_assert_num_queries(11):
        client.get(build.get_absolute_url())

    for number in range(2, 12):
        make_ended(version, "failed", attempt=number)
        make_ended(version, key=BOOKWORM, attempt=number - 1)
        wheel = make_wheel(build=build, filename=f"demo-1.0-{number}-py3-none-any.whl")
        wheel.dependencies.create(tool="apt", name="libffi8")
        build.refusals.create(filename="x.whl", reason="no")

    with django_assert_num_queries(11):
        client.get(build.get_absolute_url())


@pytest.mark.parametrize(
    "log",
    [
        b"".join(b"gcc -O2 -fPIC -c src/module%d.c -o build/module%d.o\n" % (n, n) for n in range(100_000)),
        b"<script>alert(1)</script>\x1b[31m\x00\xff\n" * 200_000,
        b"</pre></main><img src=x onerror=alert(1)>" * 100_000,
    ],
    ids=["long", "lines", "one line"],
)
@pytest.mark.parametrize("question", ["", "?from=500", "?find=c"])
def test_a_page_is_light_and_inert_whatever_its_log_says(client, log, question):
    build = make_ended(make_version(), "failed", log=log, failure="unknown", failure_about="</p><script>")

    page = client.get(build.get_absolute_url() + question).content

    assert len(gzip.compress(page)) < 30_000
    assert b"<script" not in page
    assert b"<img" not in page
