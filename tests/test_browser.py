"""The pages in Debian's Chromium: with and without JavaScript, wide and narrow, light and dark."""

import gzip
import subprocess
from itertools import cycle, product

import pytest
from axe_playwright_python.sync_playwright import Axe

from deploy.farm import MANAGE, ROOT
from tests.sample_site import CHROMIUM, Reader, chromium, sample_site
from tests.site_pages import PAGES

pytestmark = [
    pytest.mark.whole,
    pytest.mark.skipif(not CHROMIUM, reason="needs Debian's chromium"),
]

SCREENSHOTS = ROOT / "var" / "screenshots"
VIEWS = list(product(("light", "dark"), (1280, 320)))
WCAG = [f"wcag{version}{level}" for version in ("2", "21", "22") for level in ("a", "aa")]
# WCAG 2.5.8 asks no size of what a page leaves to the browser, as those without a style do.
AS_IT_COMES = {"target-size": {"enabled": False}}
# Operators' forms of each kind, and what is left of a list's rows while axe reads it.
FORMS = ("/admin/builds/builder/", "/admin/builds/build/", "/admin/packages/package/")
FEWER = """document.querySelectorAll(
    "#result_list tbody tr:nth-child(n+4), #changelist-filter li:nth-child(n+4)"
).forEach(each => each.remove())"""
# Colours that are on their way to those of the other scheme are nobody's.
STILL = "Promise.allSettled(document.getAnimations().map(each => each.finished)).then(() => true)"
PASSWORD = "correct horse battery"
HTML_BYTES, PAGE_BYTES = 30 << 10, 50 << 10
# What somebody sees who moves through a page with the keyboard.
FOCUS = """() => {
    const element = document.activeElement, style = getComputedStyle(element);
    const box = element.getBoundingClientRect();
    const inside = box.width > 0 && box.height > 0 && box.left >= 0;
    return {name: element.outerHTML.slice(0, 120), isBody: element === document.body,
            isSeen: inside && style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2};
}"""

each_page = pytest.mark.parametrize("page", PAGES, ids=[page.path for page in PAGES])
each_framed_page = pytest.mark.parametrize(
    "page",
    [page for page in PAGES if not page.is_plain],
    ids=[page.path for page in PAGES if not page.is_plain],
)


@pytest.fixture(scope="module")
def site(shared_database, tmp_path_factory):
    with sample_site(tmp_path_factory.mktemp("sample"), shared_database) as running:
        yield running


@pytest.fixture(scope="module")
def browser():
    with chromium() as running:
        yield running


@pytest.fixture(scope="module")
def scripted(browser):
    """A browser that keeps what it has fetched."""
    return browser.new_context()


@pytest.fixture(scope="module")
def unscripted(browser):
    return browser.new_context(java_script_enabled=False)


def check(reader, page, names):
    """Open a page, and check it in every view."""
    assert reader.open(page.path.format(**names)) == page.status
    assert page.says.format(**names) in reader.page.inner_text("body")
    for scheme, width in VIEWS:
        reader.page.emulate_media(color_scheme=scheme)
        reader.page.set_viewport_size({"width": width, "height": 900})
        widest = reader.page.evaluate("document.documentElement.scrollWidth")
        assert widest <= width or page.is_plain, f"it is {widest} wide, which {width} do not hold"
        yield scheme, width
    assert reader.strangers() == set()
    assert [text for text in reader.complaints if f"status of {page.status}" not in text] == []


def violations(page, rules):
    """Return what axe finds wrong with a page: the rule, and the first of what breaks it."""
    options = {"resultTypes": ["violations"], "runOnly": WCAG, "rules": rules}
    found = Axe().run(page, options=options).response["violations"]
    return [(each["id"], [node["target"] for node in each["nodes"][:3]]) for each in found]


@each_page
def test_a_page_reads_well(site, scripted, page):
    reader = Reader.of(scripted, site.url)
    name = page.path.strip("/").replace("/", "-").translate({ord(sign): None for sign in "{}"}) or "home"
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    for scheme, width in check(reader, page, site.names):
        reader.page.screenshot(path=SCREENSHOTS / f"{name}-{width}-{scheme}.png", full_page=True)
        if width == 1280:
            assert violations(reader.page, AS_IT_COMES if page.is_plain else {}) == [], scheme
    reader.page.close()


@each_page
def test_a_page_reads_as_well_without_javascript(site, unscripted, page):
    reader = Reader.of(unscripted, site.url)

    assert len(list(check(reader, page, site.names))) == len(VIEWS)

    reader.page.close()


@pytest.fixture(scope="module")
def operator(browser, site):
    """Somebody who may do everything, at the page where one signs in."""
    env = {**site.env, "DJANGO_SUPERUSER_PASSWORD": PASSWORD}
    words = ["createsuperuser", "--noinput", "--username", "ann", "--email", "ann@example.org", "-v", "0"]
    subprocess.run([*MANAGE, *words], env=env, cwd=ROOT, check=True)
    reader = Reader.of(browser.new_context(), site.url)
    reader.open("/admin/")
    yield reader
    assert reader.strangers() == set()
    reader.page.context.close()


def click(page, what):
    with page.expect_navigation():
        what.click()


def operators_pages(reader):
    """Open the operators' pages one after another; give the name of each, and in which views it is read."""
    page = reader.page
    yield "signing in", VIEWS
    page.get_by_label("Username").fill("ann")
    page.get_by_label("Password").fill(PASSWORD)
    click(page, page.get_by_role("button", name="Log in"))
    yield "the first screen", VIEWS
    lists = [link.get_attribute("href") for link in page.locator("#content-main th[scope=row] a").all()]
    assert len(lists) > 30
    reader.open("/admin/second-factor/")
    yield "the second factor", VIEWS
    click(page, page.get_by_role("button", name="Set it up"))
    yield "its secret", VIEWS
    # They are of one template, so each is read in one view, and the next one in the next.
    for path, view in zip(lists, cycle(VIEWS), strict=False):
        reader.open(path)
        yield path, [view]
    for path in FORMS:
        reader.open(path)
        click(page, page.locator("#result_list th a").first)
        yield f"one of {path}", VIEWS
    reader.open("/admin/builds/campaign/add/")
    yield "a new campaign", VIEWS
    reader.open("/admin/builds/builder/")
    page.locator("#action-toggle").check()
    page.locator("select[name=action]").select_option("drain")
    click(page, page.locator("button[name=index]"))
    yield "the question before a deed", VIEWS


def test_the_operators_pages_read_well(operator):
    """Rows, and choices of a filter, are alike: the first of them are looked at."""
    page, found = operator.page, {}
    for name, views in operators_pages(operator):
        page.evaluate(FEWER)
        for scheme, width in views:
            page.emulate_media(color_scheme=scheme)
            page.set_viewport_size({"width": width, "height": 900})
            page.evaluate(STILL)
            if broken := violations(page, {}):
                found[name, scheme, width] = broken

    assert found == {}


@each_framed_page
def test_a_page_weighs_little(site, browser, page):
    context = browser.new_context()
    path = page.path.format(**site.names)

    fetched = Reader.of(context, site.url).fetch(path)

    weights = {url: len(gzip.compress(body)) for url, body in fetched.items()}
    assert 0 < weights[site.url + path] <= HTML_BYTES
    assert any(url.endswith(".css") for url in weights)
    assert sum(weights.values()) <= PAGE_BYTES, weights
    context.close()


@each_framed_page
def test_a_keyboard_is_enough(site, scripted, page):
    reader = Reader.of(scripted, site.url)
    reader.open(page.path.format(**site.names))

    reader.page.keyboard.press("Tab")
    first = reader.page.evaluate(FOCUS)
    reader.page.keyboard.press("Enter")
    is_there = reader.page.evaluate("document.activeElement.id")
    met = list(passed(reader.page))

    assert "To the content" in first["name"]
    assert first["isSeen"]
    assert is_there == "content"
    assert [each["name"] for each in met if not each["isSeen"]] == []
    reader.page.close()


def passed(page):
    """Give what has the focus one after another, from where it is to the end of the page."""
    for _ in range(200):
        page.keyboard.press("Tab")
        focus = page.evaluate(FOCUS)
        if focus["isBody"]:
            return
        yield focus
