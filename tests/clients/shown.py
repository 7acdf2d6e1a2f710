"""The lines for each client as a page of the served site has them, taken out of its HTML as people do."""

from dataclasses import dataclass
from xml.etree.ElementTree import Element

import html5lib
import requests

from tests.clients.world import FARM, World

ONCE, FOR_GOOD = "once", "for good"


@dataclass(frozen=True)
class Shown:
    """What a page says to write: a command, or lines for a file."""

    page: str
    client: str
    where: str  # a file, or "" for a command
    text: str

    def __str__(self) -> str:
        return f"{self.client} {FOR_GOOD if self.where else ONCE} on {self.page}"


def address(world: World) -> str:
    """Return the address of the site as its own network knows it, by a name and without TLS."""
    return f"http://{FARM}:{world.stack.nginx.port}/"


def shown(world: World, page: str) -> list[Shown]:
    """Return all that a page says to write for some client."""
    headers = {"Host": f"{FARM}:{world.stack.nginx.port}", "Accept": "text/html"}
    answer = requests.get(f"{world.stack.nginx.url}{page}", headers=headers, timeout=60)
    assert answer.status_code == 200, f"{page}: {answer.status_code}"
    root = html5lib.HTMLParser(namespaceHTMLElements=False).parse(answer.text)
    found = []
    for parent in root.iter():
        before = None
        for child in parent:
            if child.tag == "pre" and (client := _client(child.get("aria-label", ""))):
                where = _file(before) if FOR_GOOD in child.get("aria-label", "") else ""
                found.append(Shown(page, client, where, "".join(child.itertext())))
            before = child
    return found


def _client(label: str) -> str:
    """Return which client lines are for that are called so; "" for what is for none."""
    if label.startswith("Commands to install "):
        return "pip"
    name, _, when = label.removeprefix("With ").partition(", ")
    return name if label.startswith("With ") or when in (ONCE, FOR_GOOD) else ""


def _file(before: Element | None) -> str:
    """Return the file that is named before lines for one."""
    assert before is not None
    [code] = before.iter("code")
    return "".join(code.itertext())
