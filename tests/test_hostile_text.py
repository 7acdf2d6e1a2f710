"""What strangers write, in a browser: every page shows it as text, and nothing of it acts."""

import pytest
from django.contrib import admin
from django.urls import get_resolver, reverse

from builds import failures
from builds.files import logs
from builds.models import Build, Dependency, Refusal, Skip
from builds.tests.rows import (
    NOON,
    make_builder,
    make_running_build,
    make_source,
    make_target,
    make_version,
    make_wheel,
)
from packages.models import Package
from piwheels_site.models import Notice
from simple.models import Bundle
from tests.sample_site import CHROMIUM, Reader, chromium
from tests.site_pages import PAGES

pytestmark = [
    pytest.mark.whole,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(not CHROMIUM, reason="needs Debian's chromium"),
]

# Ends whatever it may be in, and then does what must not happen.
ATTACK = (
    "{}'\"></title></textarea></script><script>window.stolen = 1; alert(1)</script>"
    '<img src=x onerror="window.stolen = 1"><svg onload=alert(1)><a href="javascript:alert(1)">a</a>'
    "{{{{ 7|add:42 }}}}{{% debug %}}\r\nSet-Cookie: stolen=1\r\n\r\n\x1b]0;stolen\x07\x1b[31m\u202edesrever"
)
LONG = "W" * 120


def attack(field, most=10_000):
    """A hostile text that says where it is shown."""
    return ATTACK.format(field)[:most]


@pytest.fixture
def names():
    """A farm of hostile texts, as the pages' addresses name its parts."""
    package = Package.objects.create(
        name="demo",
        display_name=attack("display-name", 200),
        summary=attack("summary", 300),
        status="archived",
        status_reason=attack("status-reason", 500),
    )
    Package.objects.create(name="barren", display_name=LONG, summary=LONG, skip_reason=attack("skip", 200))
    target = make_target()
    Skip.objects.create(
        package=package, target=make_target("bookworm-armhf-cp311"), reason=attack("skip-here", 200)
    )
    hostile = make_version(attack("number", 200), yanked=True, yanked_reason=attack("yank"), source=False)
    make_source(hostile, url="javascript:alert(1)").save()
    fine = make_version(
        "1.0", yanked=True, yanked_reason=attack("yank"), skip_reason=attack("skip-version", 200)
    )
    builder = make_builder(problem=attack("problem"), mode_reason=attack("mode", 500), facts=hostile_facts())
    built, _ = make_running_build(builder, version=fine)
    built.close(Build.State.SUCCEEDED, attack("reason"), NOON, 1.0, rung=attack("rung", 30))
    wheel_of(built)
    failed, _ = make_running_build(builder, version=make_version("2.0"), why=attack("why", 300))
    log = attack("log") + LONG * 20 + "\nfatal error: " + attack("header") + ": No such file or directory\n"
    logs.append(failed.pk, 0, log.encode() + b"\0\xff")
    logs.keep(failed.pk)
    ending = {"failure": next(iter(failures.classes())), "failure_about": attack("about", 200)}
    failed.close(Build.State.FAILED, attack("failed"), NOON, 1.0, **ending)
    Refusal.objects.create(build=failed, filename=attack("refused-file", 300), reason=attack("refusal"))
    running, _ = make_running_build(builder, version=make_version("3.0"))
    logs.append(running.pk, 0, log.encode())
    queued = Build.objects.create(version=hostile, target=target, why=attack("waits", 300))
    Notice.objects.create(title=attack("notice", 200), text=attack("notice-text"), begins_at=NOON)
    builds = {"succeeded": built, "failed": failed, "building": running, "queued": queued}
    return {
        "package": "demo",
        "unbuilt": "barren",
        "prefix": "de",
        **{state: str(row.pk) for state, row in builds.items()},
        **bundles(target),
    }


def bundles(target):
    """The keys of a bundle that waits, one that nobody knows any more, and one that failed."""
    asked = {"day": NOON.date(), "client": 1, "target": target, "asked_at": NOON}
    waiting = Bundle.objects.create(wanted=attack("wanted"), **asked)
    failed = Bundle.objects.create(wanted=attack("wanted-too"), **asked)
    Bundle.objects.filter(pk=failed.pk).update(state="failed", problem=attack("unpackable", 500))
    return {"packing": waiting.key, "unpackable": failed.key, "packed": "nothing"}


def hostile_facts():
    """What a builder may say of itself."""
    said = {
        name: attack(f"builder-{name}") for name in ("model", "os_release", "python", "platform", "sandbox")
    }
    lists = {"problems": [attack("builder-problem")], "sandbox_lacks": [attack("builder-lacks")]}
    numbers = dict.fromkeys(("load", "temperature_c", "clock", "memory_bytes", "disk_bytes"), 1e300)
    return {**said, **lists, **numbers, "versions": {attack("tool"): attack("tool-version")}, "build": 0}


def wheel_of(build):
    """A wheel of which all that is not in its name is hostile."""
    wheel = make_wheel(
        build,
        requires_python=attack("requires-python", 255),
        trial_detail=attack("trial"),
        yanked_reason=attack("our-yank"),
        yanked=True,
    )
    for tool in ("apt", "pip", "lib"):
        Dependency.objects.create(
            wheel=wheel, tool=tool, name=attack(f"needs-{tool}", 255), requirement=attack("requirement")
        )


QUERIES = ["?q=", "?page=", "?target=", "?order=", "?day="]
PATHS = [*(page.path for page in PAGES), "/project/{attack}/", "/simple/{attack}/", "/{attack}"]


def test_T53_what_strangers_write_is_text_and_nothing_else(live_server, names):
    shown = ""
    with chromium() as browser:
        context = browser.new_context(viewport={"width": 320, "height": 900})
        for path in [
            each.format(**names, attack="%3Cscript%3Ealert(1)%3C/script%3E%0d%0aX: y") for each in PATHS
        ]:
            reader = Reader.of(context, live_server.url)
            assert reader.open(path) < 500, path
            shown += reader.page.inner_text("body")
            assert_inert(reader, context, path)
            reader.page.close()
        context.close()

    told = (
        "summary",
        "display-name",
        "status-reason",
        "number",
        "reason",
        "failed",
        "refusal",
        "notice",
        "log",
    )
    assert [field for field in told if f"{field}'\"></title>" not in shown] == []
    assert "{{ 7|add:42 }}" in shown
    assert "stolen=1" in shown


def operators_paths():
    """Give each list of the operators' pages, and the pages of some things in it."""
    assert get_resolver().url_patterns
    yield "/admin/"
    for model in admin.site._registry:
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        yield reverse(f"{name}_changelist")
        for row in model._default_manager.all()[:5]:
            yield reverse(f"{name}_change", args=[row.pk])


@pytest.mark.faults
def test_T53_what_strangers_write_is_text_on_the_operators_pages_too(live_server, names, admin_client):
    paths, shown = list(operators_paths()), ""
    with chromium() as browser:
        context = browser.new_context()
        session = admin_client.cookies["sessionid"].value
        context.add_cookies([{"name": "sessionid", "value": session, "url": live_server.url}])
        for path in paths:
            reader = Reader.of(context, live_server.url)
            assert reader.open(path) == 200, path
            shown += reader.page.content()
            assert_inert(reader, context, path, "sessionid")
            reader.page.close()
        context.close()

    assert len(paths) > 30
    told = ("display-name", "failed", "refusal", "problem")
    assert [field for field in told if f"{field}'\"&gt;&lt;/title&gt;" not in shown] == []


def assert_inert(reader, context, path, *cookies):
    """Nothing of a page has run, popped up, asked for anything or set anything."""
    page = reader.page
    assert page.evaluate("window.stolen") is None, path
    assert reader.dialogs == [], path
    # Had a piece of it become an element, the policy would have stopped and named it.
    assert [text for text in reader.complaints if "status of 404" not in text] == [], path
    assert page.locator("img[src=x], svg[onload], script:not([src]), a[href^='javascript:']").count() == 0, (
        path
    )
    assert reader.strangers() == set(), path
    assert {cookie["name"] for cookie in context.cookies()} <= {"theme", "csrftoken", *cookies}, path


@pytest.mark.parametrize("query", QUERIES)
def test_what_an_address_says_is_text_and_becomes_no_header(client, names, query):
    for page in PAGES:
        path = (
            page.path.format(**names)
            + query
            + "%22%3E%3Cscript%3Ealert(1)%3C/script%3E%0d%0aSet-Cookie:%20stolen=1"
        )
        answer = client.get(path)
        content = b"".join(answer) if answer.streaming else answer.content
        assert answer.status_code < 500, path
        assert "stolen" not in answer.cookies
        assert not any("\n" in value or "\r" in value for value in answer.headers.values())
        assert b"<script>alert" not in content, path
