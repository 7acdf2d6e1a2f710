"""What changes is seen to change, in Debian's Chromium: a log, the farm and a bundle, on pages left alone."""

import time

import pytest
import requests
from playwright.sync_api import Error

from tests.sample_site import CHROMIUM, Reader, ask_for_bundle, chromium, moving, sample_site

pytestmark = [
    pytest.mark.whole,
    pytest.mark.skipif(not CHROMIUM, reason="needs Debian's chromium"),
]

# What a page may be behind, and how often it is loaded anew where it has no JavaScript.
BEHIND_S = 3.0
LOADED_EVERY_S = {"build": 5, "farm": 15, "bundle": 5}
# The number of the last line, as its own link has it.
LAST_LINE = "Math.max(0, ...[...document.querySelectorAll('span[id^=L]')].map(each => +each.id.slice(1)))"
PATIENCE_S = 60


@pytest.fixture(scope="module")
def site(shared_database, tmp_path_factory):
    with sample_site(tmp_path_factory.mktemp("sample"), shared_database) as running, moving(running):
        yield running


@pytest.fixture(scope="module")
def browser():
    with chromium() as running:
        yield running


@pytest.fixture(params=[True, False], ids=["javascript", "no javascript"])
def reader(request, site, browser):
    """A reader who opens a page and leaves it alone; `allowed` says how far one of a kind may be behind."""
    context = browser.new_context(java_script_enabled=request.param)
    reader = Reader.of(context, site.url)
    reader.is_scripted = request.param
    yield reader
    assert reader.strangers() == set()
    context.close()


def allowed(reader, kind):
    return BEHIND_S if reader.is_scripted else LOADED_EVERY_S[kind] + BEHIND_S


def ask(site, path):
    return requests.get(f"{site.url}/api/v1{path}", timeout=30).json()


def seconds_until(reader, condition, patience_s=PATIENCE_S):
    """Return how long it took until a page, or the site, is so; a page that is being loaded says nothing."""
    began = time.monotonic()
    while (passed := time.monotonic() - began) < patience_s:
        try:
            if condition():
                return passed
        except Error as error:
            if "context was destroyed" not in str(error) and "navigat" not in str(error):
                raise
        reader.page.wait_for_timeout(50)
    return float("inf")


def is_same(reader):
    """Whether the page is still the one that was marked, which no other load of it is."""
    return bool(reader.page.evaluate("window.isMarked === true"))


def test_a_log_is_seen_to_grow(site, reader):
    for _ in range(3):
        # The newest has most of its log to come.
        build = max(each["id"] for each in ask(site, "/builds?state=building&limit=200")["builds"])

        def lines(build=build):
            return requests.get(f"{site.url}/builds/{build}/log", timeout=30).text.count("\n")

        reader.open(f"/builds/{build}/")
        reader.page.evaluate("window.isMarked = true")
        shown = reader.page.evaluate(LAST_LINE)
        assert seconds_until(reader, lambda shown=shown, lines=lines: lines() > shown + 1) < PATIENCE_S
        there_are = lines()
        behind_s = seconds_until(reader, lambda more=there_are: reader.page.evaluate(LAST_LINE) >= more)
        if ask(site, f"/builds/{build}")["state"] == "building":
            break

    assert behind_s <= allowed(reader, "build")
    assert is_same(reader) == reader.is_scripted


def test_the_farm_is_seen_to_change(site, reader):
    def at_work():
        builders = ask(site, "/farm")["builders"]
        return {each["building"]["build"].rpartition("/")[2] for each in builders if each["building"]}

    reader.open("/farm/")
    reader.page.evaluate("window.isMarked = true")
    before = at_work()
    assert seconds_until(reader, lambda: at_work() - before) < PATIENCE_S
    [begun, *_] = at_work() - before
    behind_s = seconds_until(
        reader, lambda: reader.page.query_selector(f'.builders a[href="/builds/{begun}/"][id^="of-"]')
    )

    assert behind_s <= allowed(reader, "farm")
    assert is_same(reader) == reader.is_scripted


def test_a_bundle_is_seen_to_be_made(site, reader):
    key = ask_for_bundle(site.url, f"spidev # {'with' if reader.is_scripted else 'without'} JavaScript")
    reader.open(f"/bundle/{key}/")

    assert seconds_until(reader, lambda: ask(site, f"/bundles/{key}")["state"] == "ready") < PATIENCE_S
    behind_s = seconds_until(reader, lambda: "Ready: 1 wheel" in reader.page.inner_text("main"))

    assert behind_s <= allowed(reader, "bundle")
