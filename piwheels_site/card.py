"""The page of a package as text, for who asks in a terminal: the answers and the command, and no more."""

from collections.abc import Sequence
from textwrap import wrap

from django.http import HttpRequest

from packages.legible import legible
from packages.models import Package
from piwheels_site.answers import Answer
from piwheels_site.snippets import ENVIRONMENT

TEXT = "text/plain; charset=utf-8"
_TERMINALS = ("curl/", "Wget/", "HTTPie/", "xh/")
_WIDTH = 78


def is_wanted(request: HttpRequest) -> bool:
    """Tell whether somebody reads this in a terminal, or asks for text and not for HTML."""
    accept = request.headers.get("Accept", "*/*")
    if "text/html" in accept or "application/xhtml" in accept:
        return False
    is_terminal = request.headers.get("User-Agent", "").startswith(_TERMINALS)
    return "text/plain" in accept or (is_terminal and "*/*" in accept)


def card(
    package: Package, answers: Sequence[Answer], commands: Sequence[tuple[list[str], str]], site: str
) -> str:
    """Return the card; what others wrote can move no cursor and change no colour."""
    lines = [package.display_name, *wrap(package.summary, _WIDTH), ""]
    for answer in answers:
        said = " ".join([f"{answer.word}.", answer.said, *answer.more])
        lines += wrap(f"{answer.sign} {answer.name}: {said}", _WIDTH, subsequent_indent="  ")
    if not answers:
        lines.append("This farm builds for nothing yet.")
    if commands:
        lines += ["", "# Debian's pip wants an environment first:", f"#   {ENVIRONMENT}"]
    for names, text in commands:
        lines += ["", *([f"# {'; '.join(names)}"] if len(commands) > 1 else []), *text.split("\n")]
    lines += ["", f"{site}project/{package.name}/"]
    return "".join(f"{legible(line)}\n" for line in lines)
