"""An operator's day in the browser: what fails gets a recipe, a builder rests, a campaign comes and goes."""

import pytest
from playwright.sync_api import expect

from tests import sdists
from tests.fake_pypi import FakePyPI
from tests.farm import Farm
from tests.sample_site import CHROMIUM, Reader, chromium

pytestmark = [
    pytest.mark.whole,
    pytest.mark.skipif(not CHROMIUM, reason="needs Debian's chromium"),
]

PASSWORD = "correct horse battery"
WIDTHS = (1280, 320)
# The farm is not so young that every failure would be a new one.
_MAKE_READY = f"""
from datetime import date, timedelta
from django.contrib.auth.models import Group, User
from builds.models import BuildDay, Target
ann = User.objects.create_user("ann", password={PASSWORD!r}, is_staff=True)
ann.groups.add(Group.objects.get(name="operator"))
day = date.today() - timedelta(days=30)
target = Target.objects.active()[0]
BuildDay.objects.create(day=day, target=target, state="failed", failure="timeout", count=1)
print("true")
"""


@pytest.fixture
def farm(tmp_path, database):
    with FakePyPI() as upstream:
        for version in ("1.0", "1.1", "1.2"):
            upstream.add_sdist("choosy", version, sdists.choosy_sdist("choosy", version, "WITH_FFI"))
        upstream.add_sdist("hopeless", "1.0", sdists.failing_sdist("hopeless", "1.0", "never"))
        with Farm(tmp_path, upstream.simple_url, "choosy", "hopeless", database=database) as farm:
            yield farm


class Operator:
    """Somebody at the operators' pages, each of which must fit a small screen too."""

    def __init__(self, reader):
        self.reader, self.page = reader, reader.page

    def look(self):
        """Check the page that is open at each width."""
        for width in reversed(WIDTHS):
            self.page.set_viewport_size({"width": width, "height": 800})
            widest = self.page.evaluate("document.documentElement.scrollWidth")
            assert widest <= width, f"{self.page.url} is {widest} wide, which {width} do not hold"

    def open(self, path):
        assert self.reader.open(path) == 200, path
        self.look()

    def click(self, what):
        """Click on what leads to another page, and wait for that."""
        with self.page.expect_navigation():
            what.click()

    def follow(self, name):
        self.click(self.page.get_by_role("link", name=name, exact=True).first)
        self.look()

    def says(self, text):
        """Whether the page says something; it is loaded anew each time."""
        self.page.reload()
        return text in self.page.inner_text("body")

    def choose(self, action, *, all_rows=True):
        """Choose rows and what to do to them."""
        rows = self.page.locator("#action-toggle") if all_rows else self.page.locator(".action-select").first
        rows.check()
        self.page.locator("select[name=action]").select_option(action)
        self.click(self.page.locator("button[name=index]"))
        self.look()

    def confirm(self, question, reason=""):
        """Read the question, give a reason and confirm."""
        expect(self.page.locator("#content")).to_contain_text(question)
        self.page.get_by_label("Reason").fill(reason)
        self.click(self.page.locator("form.deed input[type=submit]"))
        self.look()

    def save_twice(self, question):
        """Save a form, read the question, and save it once more."""
        self.click(self.page.locator("input[name=_save]"))
        expect(self.page.locator(".errorlist, .errornote").filter(has_text=question).first).to_be_visible()
        self.look()
        self.click(self.page.locator("input[name=_save]"))
        expect(self.page.locator(".messagelist .success").first).to_be_visible()


@pytest.fixture
def operator():
    with chromium() as browser:
        yield lambda farm: Operator(Reader.of(browser.new_context(), farm.address))


def test_an_operators_day(farm, operator):
    farm.ask(_MAKE_READY)
    ann = operator(farm)
    sign_in(ann)
    farm.wait_until(lambda: ann.says("a new class of failure: 3 builds"))

    find_why(ann)
    write_a_recipe(ann)
    farm.wait_until(lambda: farm.states("choosy") == ["succeeded"] * 3)
    ann.open("/admin/builds/build/?stage=succeeded")
    assert ann.page.locator("#result_list tbody tr").count() == 3

    drain(ann, farm)
    requeue(ann)
    start_and_stop_a_campaign(ann)
    ann.open("/admin/builds/builder/")
    ann.choose("resume")
    ann.confirm("This resumes 1 builder (local-1)")
    farm.wait_until(lambda: farm.states("hopeless") == ["failed"])

    read_the_log(ann)
    assert ann.reader.strangers() == set()
    assert [each for each in ann.reader.complaints if "status of" not in each] == []


def sign_in(ann):
    ann.open("/admin/")
    ann.page.get_by_label("Username").fill("ann")
    ann.page.get_by_label("Password").fill(PASSWORD)
    ann.click(ann.page.get_by_role("button", name="Log in"))
    expect(ann.page.locator("h1")).to_have_text("What needs a decision")
    ann.look()


def find_why(ann):
    """From the first screen to the log of what fails."""
    ann.look()
    ann.follow("Write a recipe, or start a campaign")
    assert ann.page.locator("#result_list tbody tr").count() == 3
    ann.follow("log")
    expect(ann.page.locator("body")).to_contain_text("ffi.h")
    ann.page.go_back()


def write_a_recipe(ann):
    ann.choose("recipe")
    # What its log misses is where its header is, and not what it wants.
    expect(ann.page.get_by_label("Apt")).to_have_value('["libffi-dev"]')
    ann.page.get_by_label("Apt").fill("[]")
    ann.page.get_by_label("Environment").fill('{"WITH_FFI": "1"}')
    ann.page.get_by_label("Note").fill("It looks for its header where none is.")
    ann.save_twice("This queues 3 builds of 1 package again.")


def drain(ann, farm):
    ann.open("/admin/builds/builder/")
    ann.choose("drain")
    ann.confirm("This drains 1 builder (local-1), 0 of them at a build.", "Dust.")
    ann.open("/admin/")
    farm.wait_until(lambda: ann.says("local-1 is drained: its plug can be pulled."))


def requeue(ann):
    ann.open("/admin/builds/build/?stage=failed&q=hopeless")
    ann.choose("requeue")
    ann.confirm("This requeues 1 build of 1 package for", "Perhaps today.")
    expect(ann.page.locator(".messagelist")).to_contain_text("1 build requeued.")


def start_and_stop_a_campaign(ann):
    """While the builder rests, so that what the campaign wants waits."""
    ann.open("/admin/builds/campaign/add/")
    ann.page.get_by_label("Name").fill("spring")
    ann.page.locator("select[name=target]").select_option(index=1)
    ann.page.locator("select[name=kind]").select_option("packages")
    ann.page.get_by_label("Packages").fill("hopeless")
    ann.save_twice("This goes through 1 package for")
    ann.open("/admin/builds/campaign/")
    ann.choose("stop")
    ann.confirm("This stops spring, with", "Summer is here.")
    expect(ann.page.locator("#result_list")).to_contain_text("Stopped")


def read_the_log(ann):
    """Everything that was done is there, by whom and why."""
    ann.open("/admin/admin/logentry/")
    rows = [text.replace("\t", " ") for text in ann.page.locator("#result_list tbody tr").all_inner_texts()]

    done = [
        ("resume builder", "1 builder resumed."),
        ("stop campaign", "Reason: Summer is here."),
        ("Added", "spring"),
        ("requeue", "1 build requeued. Reason: Perhaps today."),
        ("drain builder", "1 builder drained. Reason: Dust."),
        ("Added", "recipe for choosy"),
    ]
    assert len(rows) == len(done)
    for row, (action, said) in zip(rows, done, strict=True):
        assert "ann" in row
        assert action in row
        assert said in row
