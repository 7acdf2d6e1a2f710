"""The monitor in a real terminal (tmux): five builders of a real server, which keys pause, halt, resume."""

import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import replace

import pytest
import requests

from builder import contract
from builder.facts import facts
from deploy import play
from deploy.farm import MANAGE, ROOT, web
from deploy.scratch import free_port
from tests.stack import wait_for_answer

TMUX = shutil.which("tmux") or ""

pytestmark = [
    pytest.mark.whole,
    pytest.mark.skipif(not TMUX, reason="needs Debian's tmux"),
]

BUILDERS = [f"pi-{number}" for number in range(1, 6)]
PATIENCE_S = 120
SCREENSHOT = ROOT / "var" / "screenshots" / "monitor.txt"
WIDTH, HEIGHT = 130, 42
# Two of them build; the others wait.
_MAKE_READY = f"""
import json
from django.contrib.auth.models import Group, User
from packages.clock import database_now
from builds.models import Builder
from builds.tests.rows import make_builder, make_running_build, make_target, make_version
now, target = database_now(), make_target()
tokens = {{name: make_builder(name, target, heard_at=now).token for name in {BUILDERS!r}}}
for number, package in ((2, "numpy"), (3, "lxml")):
    version = make_version("1.0", package)
    make_running_build(Builder.objects.get(name=f"pi-{{number}}"), now, version=version)
ann = User.objects.create_user("ann", password=None, is_staff=True)
ann.groups.add(Group.objects.get(name="operator"))
print(json.dumps(tokens))
"""
_HOW_THEY_ARE = """
import json
from django.contrib.admin.models import LogEntry
from builds.models import Build, Builder
print(json.dumps({
    "modes": dict(Builder.objects.values_list("name", "mode")),
    "reasons": dict(Builder.objects.exclude(mode_reason="").values_list("name", "mode_reason")),
    "states": sorted(Build.objects.values_list("version__package__name", "attempt", "state")),
    "log": list(LogEntry.objects.order_by("pk").values_list("user__username", "change_message")),
}))
"""


class Site:
    """A web server with five builders that have just said hello."""

    def __init__(self, folder, database):
        self.env = {"WEB_CONCURRENCY": "1", "LOG_LEVEL": "WARNING", **play.settings(folder, os.environ)}
        self.env |= {"PIWHEELS_API_A_MINUTE": "0"} | ({"DATABASE_URL": database} if database else {})
        self.folder, self.port = folder, free_port()
        self.address = f"http://127.0.0.1:{self.port}"

    def manage(self, *words):
        done = subprocess.run(
            [*MANAGE, *words], env=self.env, cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def ask(self, question):
        return json.loads(self.manage("shell", "--no-imports", "-v", "0", "-c", question))

    def say_hello(self, tokens):
        """Have each builder say of itself what this machine is, as a Pi would."""
        for number, (name, token) in enumerate(tokens.items()):
            own = replace(
                facts(self.folder, sandbox="full", build=1 if name in ("pi-2", "pi-3") else 0),
                **{"python": "3.13", "platform": "linux-armv7l", "os_release": "trixie"},
                **{"model": "[red]Raspberry Pi 4 Model B[/red]", "temperature_c": 50.0 + 8 * number},
                **{"load": 0.5 * number, "problems": (), "disk_bytes": 100 << 30},
                **{"disk_free_bytes": (5 if number == 1 else 50) << 30},
            )
            answer = requests.post(
                f"{self.address}{contract.API}hello",
                data=contract.encode(own),
                headers={"Authorization": f"Bearer {token}"},
                timeout=60,
            )
            assert answer.ok, answer.text


@contextmanager
def running(site):
    log = site.folder / "web.log"
    with log.open("wb") as output:
        server = subprocess.Popen(web(site.port), env=site.env, cwd=ROOT, stdout=output, stderr=output)
    try:
        wait_for_answer(server, site.address, log)
        yield site
    finally:
        server.terminate()
        server.wait(30)


@pytest.fixture
def site(tmp_path, database):
    found = Site(tmp_path, database)
    found.manage("migrate", "--verbosity", "0")
    tokens = found.ask(_MAKE_READY)
    found.token = found.manage("create_operator_token", "ann", "--name", "laptop").strip()
    with running(found):
        found.say_hello(tokens)
        yield found


class Terminal:
    """A terminal of tmux, with a server of its own, in which one program runs."""

    def __init__(self, folder, *words, **env):
        self._socket = str(folder / "tmux")
        told = [part for name, value in env.items() for part in ("-e", f"{name}={value}")]
        # What it says when it ends stays to be read.
        shell = f"{shlex.join(words)}; echo ended with $?; sleep 600"
        size = ["-x", str(WIDTH), "-y", str(HEIGHT)]
        self._tmux("new-session", "-d", *size, "-c", str(ROOT), *told, shell)

    def _tmux(self, *words):
        clean = {name: value for name, value in os.environ.items() if name not in ("TMUX", "NO_COLOR")}
        return subprocess.run(
            [TMUX, "-S", self._socket, "-f", os.devnull, *words],
            env={**clean, "LC_ALL": "C.UTF-8", "TERM": "xterm-256color"},
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    def press(self, *keys):
        self._tmux("send-keys", *keys)

    def type(self, text):
        self._tmux("send-keys", "-l", text)

    def confirm(self):
        """Go from the reason to the button, and press it."""
        self.press("Enter")
        self.see("Enter once more: do it.")
        self.press("Enter")

    def shows(self):
        return self._tmux("capture-pane", "-p")

    def see(self, *texts):
        """Wait until these texts are in the terminal, and return all that is."""
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            shown = self.shows()
            if all(text in shown for text in texts):
                return shown
            time.sleep(0.3)
        raise AssertionError(f"{texts} cannot be seen in:\n{self.shows()}")

    def end(self):
        self._tmux("kill-server")


@pytest.fixture
def terminal(site):
    token_file = site.folder / "token"
    token_file.write_text(site.token)
    words = [
        sys.executable,
        "-m",
        "monitor",
        f"{site.address}/",
        "--token-file",
        str(token_file),
        "--every",
        "1",
    ]
    found = Terminal(site.folder, *words, "--every", "1")
    yield found
    found.end()


def line_of(shown, name):
    """Return the line of the list that is about a builder."""
    [line, *_] = [line for line in shown.splitlines() if f" {name} " in line and "│" not in line]
    return line


def test_an_operator_pauses_halts_and_resumes_builders_at_a_terminal(site, terminal):
    shown = terminal.see("as ann, who may act", "numpy 1.0", "lxml 1.0", "HOT")
    for name in BUILDERS:
        assert line_of(shown, name)
    assert "2 building" in line_of(shown, "the farm")
    assert "DISK" in line_of(shown, "pi-2")
    SCREENSHOT.parent.mkdir(parents=True, exist_ok=True)

    # The second one, which builds, is to rest: its build goes on.
    terminal.press("j", "j")
    terminal.see("[red]Raspberry Pi 4 Model B[/red]", "numpy 1.0 for", "memory")
    terminal.press("p")
    terminal.see("Pause 1 builder (pi-2), 1 of them building?")
    terminal.type("new card")
    terminal.confirm()
    terminal.see("1 builder paused.", "new card (Paused by ann.)")
    found = site.ask(_HOW_THEY_ARE)
    assert found["modes"] == {**dict.fromkeys(BUILDERS, "active"), "pi-2": "paused"}
    assert found["reasons"] == {"pi-2": "new card (Paused by ann.)"}
    assert found["log"][-1] == ["ann", "pause builder: 1 builder paused. Reason: new card"]
    SCREENSHOT.write_text(terminal.shows())

    # The whole farm is halted, also what was paused and still builds.
    terminal.press("k", "k", "x")
    terminal.see("Halt 5 builders (pi-1, pi-2, pi-3, pi-4, pi-5), 2 of them building?")
    terminal.confirm()
    terminal.see("5 builders halted; 2 builds ended and requeued.", "0 of 5 at work")
    found = site.ask(_HOW_THEY_ARE)
    assert set(found["modes"].values()) == {"paused"}
    ended = [["numpy", 1, "cancelled"], ["numpy", 2, "queued"]]
    assert [each for each in found["states"] if each[0] == "numpy"] == ended

    terminal.press("r")
    terminal.see("Resume 5 builders")
    terminal.confirm()
    terminal.see("5 builders resumed.", "5 of 5 at work")
    assert set(site.ask(_HOW_THEY_ARE)["modes"].values()) == {"active"}

    terminal.press("q")
    assert "Traceback" not in terminal.see("ended with 0")


def test_a_token_that_was_revoked_is_said_at_the_terminal(site, terminal):
    terminal.see("as ann, who may act")
    site.ask(
        "from packages.clock import database_now\nfrom piwheels_site.models import OperatorToken\n"
        "print(int(OperatorToken.objects.get().revoke(database_now())))"
    )

    shown = terminal.see("a token that is refused", "answered", "was revoked")

    assert "no answer" not in shown
    assert line_of(shown, "pi-5")
