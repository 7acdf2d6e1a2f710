"""What a Pi would get: of one package, and of all that a requirements or lock file asks for."""

from typing import Annotated

from django.http import HttpRequest
from ninja import Query, Router, Schema
from pydantic import ConfigDict, Field

from builds.models import Target
from piwheels_site.api.answers import (
    ROOT,
    Name,
    Refused,
    answers,
    kept,
    package_of,
    read_body,
    takes,
)
from piwheels_site.asked import asked_target, asked_versions, offered_targets
from simple import check as checking
from simple import explain as explaining
from simple.check import Checked, Line, Verdict
from simple.choose import Judged
from simple.explain import CannotRun, Setup
from simple.machines import BY_KEY, MODELS, Model
from simple.requirements import MOST_BYTES, CannotRead, read

router = Router(tags=["Installing"])

KEY_FORM = r"^[A-Za-z0-9._-]{0,60}$"
_MODELS = ", ".join(f"`{model.key}` ({model.name})" for model in MODELS)
SYSTEM_SAID = (
    f"The key of the system, or its OS release (see {ROOT}/targets); empty: the first that runs there."
)
MODEL_SAID = f"The model of the Pi: {_MODELS}; empty: any that runs the system."
_SETUP = "How the client is told of this farm."
# Of a package with ten thousand files, those that say most.
_MOST_FILES = 500


class Question(Schema):
    """A file, and the Pi that it is for."""

    model_config = ConfigDict(extra="forbid")

    text: str = Field(
        max_length=MOST_BYTES,
        description="A requirements.txt, pylock.toml, uv.lock, poetry.lock, pdm.lock or Pipfile.lock.",
        examples=["numpy\nlxml>=5"],
    )
    target: str = Field("", pattern=KEY_FORM, description=SYSTEM_SAID)
    model: str = Field("", pattern=KEY_FORM, description=MODEL_SAID)
    setup: Setup = Field(Setup.PIP, description=_SETUP)


class Got(Schema):
    """What becomes of one package that is asked for."""

    name: str
    wanted: str = Field(description="The versions that are asked for (PEP 440); empty: any.")
    verdict: Verdict
    said: str = Field(description="The same in words.")
    is_good: bool = Field(description="Whether it installs without a compiler and with the right bytes.")
    filename: str = Field(description="What is taken; empty: nothing.")
    index: str = Field(description="Where that comes from.")
    size: int | None
    build: str | None = Field(description="The last attempt here at what is not there.")

    @staticmethod
    def of(line: Line) -> "Got":
        """Return it from what was found."""
        return Got(
            name=line.wanted.name,
            wanted=str(line.wanted.wanted),
            verdict=line.verdict,
            said=line.verdict.said,
            is_good=line.is_good,
            filename=line.filename,
            index=line.index,
            size=line.size,
            build=f"{ROOT}/builds/{line.build.pk}" if line.build and not line.is_good else None,
        )


class Report(Schema):
    """What a Pi gets of a whole file."""

    read_as: str = Field(description="Which kind of file it was taken for.")
    target: str
    packages: list[Got]
    good: int = Field(description="How many install as they should.")
    apt: list[str] = Field(
        description="The Debian packages that all of our wheels that run there need together."
    )
    size: int = Field(description="How many bytes are fetched, as far as it is known.")
    saved_s: float = Field(description="How long compiling took here what the Pi need not compile.")
    left_out: list[str] = Field(description="Not asked for on this machine, by their markers.")
    passed_over: list[str] = Field(
        description="What could not be read, or is from no index, with the reason."
    )

    @staticmethod
    def of(checked: Checked, target: Target) -> "Report":
        """Return it from what was found."""
        return Report(
            read_as=checked.asked.kind,
            target=target.key,
            packages=[Got.of(line) for line in checked.lines],
            good=checked.good,
            apt=list(checked.apt),
            size=checked.size,
            saved_s=checked.saved_s,
            left_out=[f"{each.name}{each.wanted}" for each in checked.left_out],
            passed_over=list(checked.asked.passed_over),
        )


class Candidate(Schema):
    """A file that there is."""

    filename: str
    index: str
    against: str = Field(description="The first reason against it; empty: it is taken.")

    @staticmethod
    def of(judged: Judged) -> "Candidate":
        """Return it from what was thought of it."""
        return Candidate(filename=judged.offer.filename, index=judged.offer.index, against=judged.against)


class Explained(Schema):
    """Which file a Pi takes of a package, and why no other."""

    package: str
    target: str
    taken: Candidate | None
    is_ours: bool = Field(description="Whether that is a wheel of this farm.")
    runs: bool = Field(description="Whether it runs there, as far as anybody knows.")
    others: list[Candidate] = Field(
        description=f"All other files, the newest first, {_MOST_FILES} at the most."
    )
    has_more: bool = Field(description="Whether there are more than these.")


@router.post(
    "/check",
    response=answers(Report, 404, 413, 422),
    summary="Will it all install?",
    openapi_extra=takes(Question),
    url_name="check",
)
def check(request: HttpRequest) -> Report:
    """Say of each package in a requirements or lock file what a Pi would take, and what all of them need.

    Nothing of the file is kept.
    """
    question = read_body(request, Question, MOST_BYTES)
    model = model_of(question.model)
    target = system_of(question.target, model)
    try:
        return Report.of(checking.check(read(question.text), target, model, question.setup), target)
    except (CannotRead, CannotRun) as error:
        raise Refused(422, str(error), "Send another text, or ask for another system or model.") from error


@router.get(
    "/explain/{name}",
    response=kept(Explained, 404, 422),
    summary="Which file is taken?",
    url_name="explain",
)
def explain(
    request: HttpRequest,
    name: Name,
    target: Annotated[str, Query(pattern=KEY_FORM, description=SYSTEM_SAID)] = "",
    model: Annotated[str, Query(pattern=KEY_FORM, description=MODEL_SAID)] = "",
    setup: Annotated[Setup, Query(description=_SETUP)] = Setup.PIP,
    version: Annotated[
        str, Query(max_length=100, description="As `2.1`, or a range as `>=2,<3`; empty: any.")
    ] = "",
) -> Explained:
    """Say which file of a package a Pi would take, and of each other file the first reason against it."""
    found = package_of(name)
    pi = model_of(model)
    system = system_of(target, pi)
    try:
        explained = explaining.explain(found, system, pi, setup, asked_versions(version))
    except (CannotRead, CannotRun) as error:
        raise Refused(422, str(error), "Ask for other versions, another system or model.") from error
    taken = explained.choice.taken
    others = [each for each in explained.choice.judged if each is not taken]
    return Explained(
        package=found.name,
        target=system.key,
        taken=Candidate.of(taken) if taken else None,
        is_ours=explained.is_ours,
        runs=explained.runs,
        others=[Candidate.of(each) for each in others[:_MOST_FILES]],
        has_more=len(others) > _MOST_FILES,
    )


def model_of(key: str) -> Model | None:
    """Return the model of that key; refuses what is none."""
    if key and key not in BY_KEY:
        raise Refused(422, f"There is no model “{key}”.", f"The models are {', '.join(BY_KEY)}.")
    return BY_KEY.get(key)


def system_of(said: str, model: Model | None) -> Target:
    """Return the system by its key or its OS release; refuses what is neither."""
    targets = offered_targets()
    known = {name for target in targets for name in (target.key, target.os_release)}
    if said and said not in known:
        raise Refused(404, "There is no such target.", f"The keys of all targets are at {ROOT}/targets.")
    return asked_target(said, targets, model)
