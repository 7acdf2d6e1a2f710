"""The screen, by textual's pilot, against a fake farm that really answers over HTTP."""

import asyncio
import time
from contextlib import asynccontextmanager

import pytest
from textual.widgets import DataTable, Input

from monitor import history
from monitor.client import Client
from monitor.screen import Monitor
from monitor.tests.api import TOKEN, FakeFarm, builder, building, farm, operators, serving

PATIENCE_S = 60


class Watcher:
    """Somebody at the screen."""

    def __init__(self, app, pilot):
        self.app, self.pilot = app, pilot

    def text(self):
        """All that the screen shows, as characters."""
        lines = self.app.screen._compositor.render_strips()
        return "\n".join("".join(segment.text for segment in strip) for strip in lines)

    async def see(self, *texts, absent=()):
        """Wait until the screen shows these texts and none of those."""
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            await self.pilot.pause(0.05)
            shown = self.text()
            if all(text in shown for text in texts) and not any(text in shown for text in absent):
                return shown
        raise AssertionError(f"{texts} {absent} is not what is shown:\n{self.text()}")

    async def press(self, *keys):
        await self.pilot.press(*keys)


@asynccontextmanager
async def watching(address, token=TOKEN, every_s=0.5, size=(120, 40)):
    with Client(address, token) as client:
        app = Monitor(client, address=address, every_s=every_s)
        async with app.run_test(size=size, notifications=True) as pilot:
            yield Watcher(app, pilot)


def watch(fake, scene, token=TOKEN, **more):
    """Play a scene before the screen of a fake farm."""

    async def run(address):
        async with watching(address, token, **more) as watcher:
            await scene(watcher)

    with serving(fake) as address:
        asyncio.run(run(address))


def test_builders_queues_and_the_server_are_shown():
    fake = FakeFarm(builder("pi-1", **building()), builder("pi-2"))

    async def scene(watcher):
        shown = await watcher.see("pi-1", "pi-2", "numpy 2.3.5", "10:00m", "as ann, who may act")
        for text in (
            "12 ended, 10 of them well",
            "1,234 today",
            "3 events behind",
            "40 wait",
            "60.0 GiB free",
        ):
            assert text in shown

    watch(fake, scene)


def test_the_chosen_builders_facts_are_shown():
    fake = FakeFarm(builder("pi-1"), builder("pi-2", machine={"temperature_c": 79.0, "model": "Zero 2 W"}))

    async def scene(watcher):
        await watcher.see("pi-2")
        await watcher.press("j", "down")
        shown = await watcher.see("Zero 2 W", "79°C", "over 78°C", "trixie")
        assert "! pi-2: HOT: It has 79 °C." in shown
        await watcher.press("k")
        await watcher.see("Raspberry Pi 4")

    watch(fake, scene)


def test_without_a_token_there_is_only_to_look():
    fake = FakeFarm()

    async def scene(watcher):
        await watcher.see("pi-1", "without a token")
        await watcher.press("j", "p")
        await watcher.see("Nothing was done. Give a token")

    watch(fake, scene, token="")

    assert {path for path, _ in fake.asked} == {"/farm", "/queue"}
    assert fake.sent == []


def test_the_token_goes_to_the_operators_doors_alone():
    fake = FakeFarm()

    async def scene(watcher):
        await watcher.see("as ann")

    watch(fake, scene)

    assert {path for path, secret in fake.asked if secret} == {"/operators/farm"}


def test_a_viewer_can_do_nothing():
    fake = FakeFarm()
    fake.set("/operators/farm", operators(may_act=False))

    async def scene(watcher):
        await watcher.see("may look")
        await watcher.press("p")
        await watcher.see("Your role may only look.")

    watch(fake, scene)

    assert fake.sent == []


@pytest.mark.parametrize(
    ("key", "deed", "chosen"),
    [
        ("s", "skip", ["pi-1"]),
        ("p", "pause", ["pi-1", "pi-2"]),
        ("x", "halt", ["pi-1", "pi-2", "pi-3"]),
        ("r", "resume", ["pi-3", "pi-5"]),
        ("t", "stop", ["pi-1", "pi-2", "pi-3"]),
        ("K", "kill", ["pi-1", "pi-2", "pi-3"]),
    ],
)
def test_a_deed_for_the_farm_is_for_those_that_it_changes(key, deed, chosen):
    fake = FakeFarm(
        builder("pi-1", **building()),
        builder("pi-2"),
        builder("pi-3", mode="paused", **building()),
        builder("pi-4", mode="quarantined", state="quarantined", said="quarantined"),
        builder("pi-5", mode="stopped", state="stopped", said="stopped"),
    )
    if key == "s":
        fake.set("/farm", farm(builder("pi-1", **building()), builder("pi-2")))

    async def scene(watcher):
        await watcher.see("pi-1")
        await watcher.press(key)
        await watcher.see(f"{len(chosen)} builder", f"({', '.join(chosen)})", "of them building?")
        await watcher.press(*"hot", "enter", "enter")
        await watcher.see("Done.")

    watch(fake, scene)

    assert fake.sent == [{"deed": deed, "builders": chosen, "reason": "hot"}]


def test_a_deed_for_one_builder_is_for_that_one():
    fake = FakeFarm(builder("pi-1"), builder("pi-2"))

    async def scene(watcher):
        await watcher.see("pi-2")
        await watcher.press("j", "j", "enter")
        await watcher.see("What is wanted of pi-2?")
        await watcher.press("j", "enter")
        await watcher.see("Pause 1 builder (pi-2), 0 of them building?")
        await watcher.press("enter", "enter")
        await watcher.see("Done.")

    watch(fake, scene)

    assert fake.sent == [{"deed": "pause", "builders": ["pi-2"], "reason": ""}]


def test_a_deed_for_a_builder_that_leaves_meanwhile_is_for_nobody(monkeypatch):
    monkeypatch.setattr(history, "LEFT_S", 0.0)
    fake = FakeFarm(builder("pi-1"), builder("pi-2"))

    async def scene(watcher):
        await watcher.see("pi-2")
        await watcher.press("j", "j", "enter")
        await watcher.see("What is wanted of pi-2?")
        fake.set("/farm", farm(builder("pi-1")))
        await watcher.see("1 of 1 at work")
        assert watcher.app.screen_stack[0].query_one(DataTable).row_count == 2
        await watcher.press(*"jjjjj", "enter")
        await watcher.see("Nothing was done: pi-2 has left the farm.", absent=["Kill 1 builder"])

    watch(fake, scene)

    assert fake.sent == []


def test_nothing_is_wanted_of_all_where_the_chosen_one_has_left(monkeypatch):
    monkeypatch.setattr(history, "LEFT_S", 3600.0)
    fake = FakeFarm(builder("pi-1"), builder("pi-2"))

    async def scene(watcher):
        await watcher.see("pi-2")
        await watcher.press("j", "j")
        fake.set("/farm", farm(builder("pi-1")))
        await watcher.see("LEFT")
        await watcher.press("enter")
        await watcher.see("What is wanted of pi-2?")

    watch(fake, scene)


@pytest.mark.parametrize("keys", [["escape"], ["enter", "tab", "enter"], ["tab", "tab", "enter"]])
def test_who_does_not_say_yes_does_nothing(keys):
    fake = FakeFarm()

    async def scene(watcher):
        await watcher.see("pi-1")
        await watcher.press("p")
        await watcher.see("Pause 1 builder")
        await watcher.press(*keys)
        await watcher.see("pi-1", absent=["of them building?"])

    watch(fake, scene)

    assert fake.sent == []


def test_a_deed_goes_to_those_that_were_counted_whoever_comes_meanwhile():
    fake = FakeFarm(builder("pi-1"))

    async def scene(watcher):
        await watcher.see("pi-1")
        await watcher.press("p")
        await watcher.see("Pause 1 builder (pi-1)")
        fake.set("/farm", farm(builder("pi-0"), builder("pi-1")))
        await watcher.pilot.pause(1)
        await watcher.press("enter", "enter")
        await watcher.see("pi-0", "Done.")

    watch(fake, scene)

    assert fake.sent[0]["builders"] == ["pi-1"]


def test_a_deed_that_was_refused_says_so():
    fake = FakeFarm()
    refused = {"error": "Your role does not allow this.", "what_to_do": "Ask an administrator."}
    fake.set("/operators/builders", refused, 403)

    async def scene(watcher):
        await watcher.see("pi-1")
        await watcher.press("p")
        await watcher.see("Pause 1 builder")
        await watcher.press("enter", "enter")
        await watcher.see("It may not have been done", "Your role")

    watch(fake, scene)


@pytest.mark.parametrize("answer", [{}, {"said": ["Done."]}])
def test_a_deed_whose_answer_cannot_be_read_says_so(answer):
    fake = FakeFarm()
    fake.set("/operators/builders", answer)

    async def scene(watcher):
        await watcher.see("pi-1")
        await watcher.press("p")
        await watcher.see("Pause 1 builder")
        await watcher.press("enter", "enter")
        await watcher.see("It may not have been done: The farm")

    watch(fake, scene)


def test_what_would_change_nothing_is_not_asked():
    fake = FakeFarm(builder("pi-1"))

    async def scene(watcher):
        await watcher.see("pi-1")
        await watcher.press("j", "r")
        await watcher.see("Resume would change nothing here.")

    watch(fake, scene)


@pytest.mark.parametrize(
    ("body", "status", "headers", "said"),
    [
        (b"<html>", 200, {}, "something else than this monitor reads"),
        (b"\xff\xfe", 200, {}, "something else"),
        ([], 200, {}, "is no object"),
        ({"builders": 3}, 200, {}, "is missing"),
        (b"[" * 100_000, 200, {}, "no JSON"),
        (b"x" * 9_000_000, 200, {}, "larger than any farm's"),
        (b"", 502, {}, "status 502"),
        (b"", 302, {"Location": "https://elsewhere.test/"}, "The farm is at https://elsewhere.test/"),
        (
            {"error": "This takes a token, and yours is none.", "what_to_do": "Make one."},
            401,
            {},
            "Make one.",
        ),
        ({"error": "Too many.", "what_to_do": "Wait."}, 429, {"Retry_After": "300"}, "again in 4:"),
    ],
)
def test_what_cannot_be_shown_is_said_and_tried_again(body, status, headers, said):
    fake = FakeFarm()

    async def scene(watcher):
        await watcher.see("pi-1")
        fake.set_all(body, status, **headers)
        await watcher.see("no answer for", "again in", said)
        await watcher.see("pi-1", "numpy" if "numpy" in watcher.text() else "waiting for a build")

    watch(fake, scene)


@pytest.mark.parametrize("status", [401, 403])
def test_a_token_that_is_refused_is_said_and_the_farm_is_watched_on(status, monkeypatch):
    fake = FakeFarm(builder("pi-1"))
    refused = {"error": "Your token was revoked.", "what_to_do": "Make another."}

    async def scene(watcher):
        await watcher.see("as ann")
        fake.set("/operators/farm", refused, status)
        told = ["a token that is refused", "TOKEN: Your token was", "answered"]
        await watcher.see(*told, absent=["as ann", "no answer"])
        fake.set("/farm", farm(builder("pi-1"), builder("pi-2")))
        await watcher.see("pi-2", *told, absent=["no answer"])
        await watcher.press("p")
        await watcher.see("Nothing was done. Your token was revoked.")

        # Each try is in the farm's log.
        tries = [path for path, secret in fake.asked if secret]
        await watcher.pilot.pause(2)
        assert [path for path, secret in fake.asked if secret] == tries
        monkeypatch.setattr("monitor.client.time", Clock(time.monotonic() + 600))
        fake.set("/operators/farm", operators())
        await watcher.see("as ann", absent=["refused", "TOKEN"])

    watch(fake, scene)


def test_what_comes_back_is_shown_again():
    fake = FakeFarm()
    whole = dict(fake.answers)
    fake.set_all(b"", 503)

    async def scene(watcher):
        await watcher.see("status 503")
        fake.answers = whole
        await watcher.see("pi-1", "answered", absent=["status 503"])

    watch(fake, scene)


def test_a_farm_that_is_not_there_is_said():
    async def run():
        async with watching("http://127.0.0.1:9") as watcher:
            await watcher.see("cannot be reached", "again in")

    asyncio.run(run())


def test_pauses_after_failures_double():
    with Client("http://127.0.0.1:9", "") as client:

        async def run():
            app = Monitor(client, address="x", every_s=5)
            async with app.run_test():
                pauses = []
                for _ in range(6):
                    app._miss("x")
                    pauses.append(round(app._next_at - time.monotonic()))
                app._miss("x", 300.0)
                return [*pauses, round(app._next_at - time.monotonic())]

        pauses = asyncio.run(run())
    assert pauses[-4:] == [60, 60, 60, 300]
    assert pauses[0] < pauses[1] < pauses[2]


class Clock:
    """Time that passes for the screen only when a test says so."""

    def __init__(self, now=1000.0):
        self.now = now

    def monotonic(self):
        return self.now


def test_who_left_stays_for_five_seconds(monkeypatch):
    clock = Clock()
    monkeypatch.setattr("monitor.screen.time", clock)
    fake = FakeFarm(builder("pi-1"), builder("pi-2"))

    async def scene(watcher):
        await watcher.see("pi-2")
        fake.set("/farm", farm(builder("pi-1")))
        await watcher.see("LEFT", "has left the farm")
        clock.now += history.LEFT_S - 0.1
        watcher.app._draw()
        await watcher.see("pi-2", "LEFT")
        clock.now += 0.2
        await watcher.see("pi-1", absent=["pi-2", "LEFT"])

    watch(fake, scene)


HOSTILE = "[red]evil[/red] [@click=app.quit]x[/] \x1b[31m\x1b]0;title\x07\x9b2J\u202ebackwards\r\n[/]"


def test_what_a_farm_says_is_neither_markup_nor_for_the_terminal():
    bad = builder(
        "pi-1",
        **{**building(package=HOSTILE, version=HOSTILE), "said": HOSTILE, "state": "unwell"},
        reason=HOSTILE,
        target=HOSTILE,
        machine={"model": HOSTILE},
    )
    fake = FakeFarm(bad)
    fake.set("/operators/farm", operators(user=HOSTILE, matters=[{"said": HOSTILE, "is_urgent": True}]))
    fake.set("/operators/builders", {"said": HOSTILE, "builders": []})

    async def scene(watcher):
        await watcher.see("pi-1", "[red]evil[/red]")
        await watcher.press("j")
        shown = await watcher.see("UNWELL", "[@click=app.quit]x")
        await watcher.press("p", "enter", "enter")
        shown += await watcher.see("[red]evil")
        fake.set_all({"error": HOSTILE, "what_to_do": HOSTILE}, 500)
        shown += await watcher.see("answer for", "[red]evil[/red]")
        assert not set(shown) & set("\x1b\x07\x9b\u202e\r")

    watch(fake, scene)


def test_help_says_what_each_key_does():
    async def scene(watcher):
        await watcher.see("pi-1")
        await watcher.press("h")
        await watcher.see("Keys", "nothing more is given until resume")
        await watcher.press("escape")
        await watcher.see("pi-1", absent=["Keys"])
        await watcher.press("q")

    watch(FakeFarm(), scene)


@pytest.mark.parametrize("size", [(80, 24), (40, 14)])
def test_on_a_small_terminal_all_of_the_help_can_be_read(size):
    async def scene(watcher):
        await watcher.see("pi-1")
        await watcher.press("h")
        await watcher.see("Keys")
        await watcher.press(*["down"] * 60)
        await watcher.see("who did what", absent=["Keys"])

    watch(FakeFarm(), scene, size=size)


@pytest.mark.parametrize("size", [(80, 14), (40, 24)])
def test_on_a_small_terminal_the_button_that_is_pressed_is_seen(size):
    async def scene(watcher):
        await watcher.see("pi-1")
        await watcher.press("p")
        await watcher.see("Pause")
        await watcher.press("enter")
        await watcher.see("Yes, do it")

    watch(FakeFarm(*(builder(f"pi-{number}") for number in range(1, 13))), scene, size=size)


def test_the_reason_is_typed_and_not_a_key_of_the_screen():
    async def scene(watcher):
        await watcher.see("pi-1")
        await watcher.press("p")
        await watcher.see("Pause 1 builder")
        await watcher.press(*"qjkh")
        assert watcher.app.screen.query_one(Input).value == "qjkh"
        await watcher.press("escape")

    watch(FakeFarm(), scene)


@pytest.mark.parametrize("height", [20, 24])
def test_a_small_terminal_has_builders_and_what_is_known_of_them(height):
    names = [f"pi-{number}" for number in range(1, 10)]
    fake = FakeFarm(*map(builder, names))

    async def scene(watcher):
        await watcher.see(*names[:4], "About", "Needs a look", "Quit")

    watch(fake, scene, size=(80, height))


def test_facts_that_have_no_room_are_scrolled_to_and_all_other_keys_work_meanwhile():
    fake = FakeFarm(builder("pi-1"), builder("pi-2", machine={"model": "Zero 2 W"}))

    async def scene(watcher):
        await watcher.see("pi-1")
        await watcher.press("j")
        await watcher.see("heard of", absent=["40%"])
        await watcher.press("tab", "end")
        await watcher.see("40%", absent=["heard of"])
        await watcher.press("j", "home")
        await watcher.see("pi-2", "Zero 2 W")
        await watcher.press("escape", "k", "enter")
        await watcher.see("What is wanted of pi-1?")

    watch(fake, scene, size=(80, 24))


def test_the_chosen_builder_stays_chosen_when_others_come():
    fake = FakeFarm(builder("pi-3"))

    async def scene(watcher):
        await watcher.see("pi-3")
        await watcher.press("j")
        fake.set("/farm", farm(builder("pi-1"), builder("pi-2"), builder("pi-3")))
        await watcher.see("pi-1")
        assert watcher.app.query_one(DataTable).cursor_row == 3
        assert "pi-3" in watcher.text().partition("About")[2]

    watch(fake, scene)
