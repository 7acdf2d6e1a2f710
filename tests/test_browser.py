"""The pages in Debian's Chromium: with and without JavaScript, wide and narrow, light and dark."""

import shutil
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import sync_playwright

from builds import logs
from builds.models import Build, Dependency
from builds.tests.rows import NOON, make_running_build, make_version, make_wheel

pytestmark = [pytest.mark.whole, pytest.mark.django_db(transaction=True)]

QUIET = ["--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-sync"]


@pytest.fixture
def paths():
    """The pages of a farm with a wheel, a failure and a running build."""
    build, _ = make_running_build(version=make_version("1.0"))
    wheel = make_wheel(build=build, filename="demo-1.0-cp313-cp313-linux_armv6l.linux_armv7l.whl")
    Dependency.objects.create(wheel=wheel, tool="apt", name="libpq5", requirement="libpq5 (>= 10~~)")
    logs.append(build.pk, 0, b"compiling " + b"x" * 400 + b"\n")
    build.close(Build.State.SUCCEEDED, "", NOON, 12.5)
    failed, _ = make_running_build(builder=build.builder, version=make_version("2.0"))
    failed.close(Build.State.FAILED, "`pip wheel` ended with exit code 1; the log says why.", NOON, 3.0)
    running, _ = make_running_build(builder=build.builder, version=make_version("3.0"))
    return {
        "/": "Python packages for the Raspberry",
        "/project/demo/": "sudo apt install libpq5",
        f"/builds/{build.pk}/": "compiling",
        f"/builds/{failed.pk}/": "ended with exit code 1",
        f"/builds/{running.pk}/": "Nothing has been printed yet",
        "/simple/demo/": wheel.filename,
        "/healthz": "database",
        "/nothing": "There is no such page",
        "/admin/": "Username",
    }


@pytest.mark.skipif(not shutil.which("chromium"), reason="needs Debian's chromium")
@pytest.mark.parametrize("javascript", [True, False])
@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (320, "dark")])
def test_every_page_reads_well(live_server, paths, javascript, width, scheme):
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=QUIET)
        context = browser.new_context(
            java_script_enabled=javascript, color_scheme=scheme, viewport={"width": width, "height": 800}
        )
        page = context.new_page()
        asked, complaints = [], []
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: complaints.append(message.text))
        for path, says in paths.items():
            page.goto(live_server.url + path)
            assert says in page.inner_text("body")
            widest = page.evaluate("document.documentElement.scrollWidth")
            assert widest <= width or path in ("/simple/demo/", "/admin/"), f"{path} is {widest} wide"
        browser.close()
    ours = urlsplit(live_server.url).netloc
    assert {urlsplit(url).netloc for url in asked if not url.startswith("data:")} == {ours}
    assert [text for text in complaints if "404" not in text and "503" not in text] == []
