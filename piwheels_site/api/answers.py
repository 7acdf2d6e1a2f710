"""What all answers of the API have in common: how they refuse, and how a list goes on."""

from typing import Annotated, Any, NoReturn, TypeVar

from django.http import HttpRequest, HttpResponse, JsonResponse
from ninja import Path, Query, Schema
from pydantic import Field

from packages.models import Package
from packages.project import canonical

# Where the API is, below the site's root.
ROOT = "/api/v1"

# What a list has at the most, and where nobody says how much.
MOST, USUALLY = 200, 50


class Problem(Schema):
    """Why there is no other answer."""

    error: str = Field(description="What is wrong, in a sentence.")
    what_to_do: str = Field(description="What would be right.")


class Refused(Exception):
    """A request that cannot be answered; the status and the problem say why."""

    def __init__(self, status: int, error: str, what_to_do: str) -> None:
        super().__init__(error)
        self.status = status
        self.problem = Problem(error=error, what_to_do=what_to_do)


def problem(status: int, error: str, what_to_do: str) -> HttpResponse:
    """Return a refusal, in the one form that all of them have."""
    return JsonResponse(Problem(error=error, what_to_do=what_to_do).model_dump(), status=status)


# What any address may refuse with.
EVERYWHERE = (405, 429)

Answers = dict[int, Any]  # Any: ninja takes classes and types alike


def answers(given: object, *refusals: int) -> Answers:
    """Return what an operation may answer: what it gives, what it refuses with, and what any may answer."""
    return {200: given, **dict.fromkeys(sorted({*refusals, *EVERYWHERE}), Problem)}


def kept(given: object, *refusals: int) -> Answers:
    """Return the same of one whose answer a client may keep, and ask whether it is still the same."""
    return {304: None, **answers(given, *refusals)}


Limit = Annotated[int, Query(ge=1, le=MOST, description=f"How many to give at the most, up to {MOST}.")]
After = Annotated[
    int | None,
    Query(ge=1, le=2**63 - 1, description="Go on below this number; take it from `next`."),
]
Name = Annotated[
    str,
    Path(
        min_length=1,
        max_length=200,
        description="The name of a package; any spelling does, the answer has the canonical one.",
        examples=["numpy"],
    ),
]
Key = Annotated[
    int,
    Path(ge=1, le=2**63 - 1, description="The number of a build.", examples=[1]),
]
Next = Annotated[
    str | None,
    Field(
        description="Where the list goes on, below the site's root; null at its end. A page of what is rare "
        "may be shorter than asked for, or empty, and yet not the last."
    ),
]


def next_link(request: HttpRequest, after: str | int | None) -> str | None:
    """Return where a list goes on that ended with `after`, asked for as it was."""
    if after is None:
        return None
    asked = request.GET.copy()
    asked["after"] = str(after)
    return f"{request.path}?{asked.urlencode()}"


def package_of(name: str) -> Package:
    """Return the package that a name means, in whatever spelling; refuses one that nobody follows."""
    package = Package.objects.filter(name=name).first() if (name := canonical(name)) else None
    if package is None:
        unknown("package")
    return package


def unknown(what: str) -> NoReturn:
    """Refuse a request for what is not there."""
    if what == "bundle":
        raise Refused(404, "There is no such bundle.", f"Ask for one at {ROOT}/bundles.")
    looked_for = {
        "package": f"Look for its name in {ROOT}/packages?search=",
        "build": f"Look for its number in {ROOT}/builds?package=",
        "wheel": f"Look for its name in {ROOT}/wheels?package=",
    }
    raise Refused(404, f"There is no such {what}.", f"{looked_for[what]}…")


Sent = TypeVar("Sent", bound=Schema)


def takes(sent: type[Schema]) -> dict[str, Any]:  # Any: it is a piece of OpenAPI
    """Return what the description says of an operation that is sent something."""
    named = {"$ref": f"#/components/schemas/{sent.__name__}"}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": named}}}}


def schemas_of(sent: type[Schema]) -> dict[str, Any]:  # Any: it is a piece of OpenAPI
    """Return the schema of what is sent, and those that it names; ninja knows no more of it."""
    whole = sent.model_json_schema(ref_template="#/components/schemas/{model}")
    return {**whole.pop("$defs", {}), sent.__name__: whole}


def read_body(request: HttpRequest, sent: type[Sent], most_bytes: int) -> Sent:
    """Return what was sent; refuses what is too much before it is in memory, and what is not as described."""
    content: bytes = request.read(most_bytes + 1)
    if len(content) > most_bytes:
        raise Refused(
            413,
            f"What was sent is larger than {most_bytes >> 20} MiB.",
            "Send the part of the file that matters.",
        )
    return sent.model_validate_json(content)
