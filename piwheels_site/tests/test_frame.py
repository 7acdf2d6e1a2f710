from datetime import timedelta

import pytest
from django.core.cache import cache
from django.core.exceptions import ValidationError
from django.utils import timezone

from builds.tests.rows import make_built
from piwheels_site.models import Notice

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _nothing_cached():
    cache.clear()


def notice(title, *, begins=-1, ends=None, **fields):
    now = timezone.now()
    ends_at = None if ends is None else now + timedelta(hours=ends)
    return Notice.objects.create(
        title=title, begins_at=now + timedelta(hours=begins), ends_at=ends_at, **fields
    )


def test_every_page_shows_what_everybody_should_know(client):
    notice("The disk is full", kind="incident", text="No builds.\n\nUntil noon.")
    notice("Over", ends=-0.5)
    notice("To come", begins=1)

    for path in ("/", "/nothing"):
        page = client.get(path).content.decode()
        assert "Incident:</b> The disk is full" in page
        assert "<p>No builds.</p>" in page
        assert "Over" not in page
        assert "To come" not in page


def test_every_page_says_whom_to_tell_where_there_is_somebody(client, settings):
    settings.PIWHEELS_CONTACT = ""
    make_built()
    pages = ("/", "/project/demo/", "/faq.html", "/nothing")
    assert not [path for path in pages if "Report a problem" in client.get(path).content.decode()]

    settings.PIWHEELS_CONTACT = "mailto:farm@example.org?subject=Wheels&body=x"

    link = '<a href="mailto:farm@example.org?subject=Wheels&amp;body=x">'
    assert [path for path in pages if link in client.get(path).content.decode()] == list(pages)
    assert client.get("/project/demo/").content.decode().count(link) == 2
    assert "Whom do I tell?" in client.get("/faq.html").content.decode()


def test_a_notice_cannot_become_a_script(client):
    notice("<script>alert(1)</script>", text="<img src=x onerror=alert(1)>")

    page = client.get("/").content.decode()

    assert "<script" not in page
    assert "<img" not in page


def test_a_notice_that_ends_is_gone_though_it_is_remembered(client):
    now = timezone.now()
    row = notice("Soon over", ends=1)

    assert Notice.shown(now) == [row]
    assert Notice.shown(now + timedelta(hours=2)) == []


def test_a_notice_ends_after_it_begins():
    row = Notice(title="No", begins_at=timezone.now(), ends_at=timezone.now() - timedelta(days=1))

    with pytest.raises(ValidationError, match="cannot end before it begins"):
        row.full_clean()


def test_nothing_of_a_page_comes_from_elsewhere_and_nothing_in_it_can_run(client):
    policy = client.get("/")["Content-Security-Policy"]

    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy


@pytest.mark.parametrize(
    ("chosen", "expected"), [("dark", 'data-theme="dark"'), ("light", 'data-theme="light"')]
)
def test_colours_that_are_chosen_stay(client, chosen, expected):
    response = client.post("/theme", {"theme": chosen, "back": "/packages.html?q=x"})

    assert response["Location"] == "/packages.html?q=x"
    assert expected in client.get("/").content.decode()


def test_colours_can_be_the_systems_again(client):
    client.post("/theme", {"theme": "dark"})
    client.post("/theme", {"theme": ""})

    assert "data-theme" not in client.get("/").content.decode()


@pytest.mark.parametrize("back", ["https://evil.example/", "//evil.example", "javascript:alert(1)", "\n"])
def test_nobody_is_led_elsewhere(client, back):
    assert client.post("/theme", {"theme": "dark", "back": back})["Location"] == "/"


@pytest.mark.parametrize("theme", ['"><script>', "", "pink"])
def test_a_cookie_of_nonsense_is_no_theme(client, theme):
    client.cookies["theme"] = theme

    assert "data-theme" not in client.get("/").content.decode()
