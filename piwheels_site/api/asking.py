"""What one can ask this farm for: to build packages, and to pack them for a Pi without a network."""

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from typing import Annotated
from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse
from ninja import Path, Router, Schema
from pydantic import ConfigDict, Field

from packages.clock import database_now
from packages.models import Package
from packages.project import canonical
from piwheels_site.api.answers import ROOT, Refused, answers, read_body, takes, unknown
from piwheels_site.api.installing import KEY_FORM, MODEL_SAID, SYSTEM_SAID, model_of, system_of
from piwheels_site.api.targets import target_of
from simple import asking, clients
from simple.asking import Answer
from simple.bundle.asking import MOST_BYTES, Question, ask
from simple.bundle.asking import Refused as NoBundle
from simple.bundle.work import is_ready
from simple.explain import CannotRun
from simple.models import Bundle
from simple.requirements import CannotRead

router = Router(tags=["Asking"])

# What one request may name; on a day, one address has fewer.
MOST_NAMES = 100
_SAID = {
    Answer.COUNTED: "It is counted; what is not followed yet is looked up within minutes.",
    Answer.AGAIN: "It was counted before, today.",
    Answer.NOT_BUILT: "Nothing of it is built, whoever asks.",
    Answer.TOO_MANY: "One address may ask for no more on a day; ask again tomorrow (UTC).",
    Answer.FULL: "Nobody may name more that is not followed, today; ask again tomorrow (UTC).",
}
# Two texts and what is around them.
_MOST_SENT = 3 * MOST_BYTES
_AGAIN = "Ask again later, or look at the other limits of this farm."


class Wishes(Schema):
    """What is to be built."""

    model_config = ConfigDict(extra="forbid")

    packages: list[Annotated[str, Field(min_length=1, max_length=200)]] = Field(
        min_length=1,
        max_length=MOST_NAMES,
        description=f"The names of up to {MOST_NAMES} packages, in any spelling.",
        examples=[["numpy"]],
    )
    target: str = Field(
        "", pattern=KEY_FORM, description=f"For this target alone (see {ROOT}/targets); empty: for all."
    )


class OneWish(Schema):
    """What became of a request for one package."""

    package: str
    outcome: Answer
    said: str = Field(description="The same in words.")
    page: str = Field(description="The path of its page for people.")


class Counted(Schema):
    """What became of each request."""

    requests: list[OneWish]


class BundleQuestion(Schema):
    """What is to be packed, and the Pi that it is for."""

    model_config = ConfigDict(extra="forbid")

    text: str = Field(
        max_length=MOST_BYTES,
        description="Packages, one a line, or a requirements or lock file, as for a check.",
        examples=["numpy\nlxml>=5"],
    )
    installed: str = Field(
        "", max_length=MOST_BYTES, description="What `pip freeze` prints there; it is not packed again."
    )
    target: str = Field("", pattern=KEY_FORM, description=SYSTEM_SAID)
    model: str = Field("", pattern=KEY_FORM, description=MODEL_SAID)


class BundleState(StrEnum):
    """How far a bundle is."""

    WAITING = "waiting"
    WORKING = "working"
    READY = "ready"
    FAILED = "failed"
    GONE = "gone"  # its time is over


class BundleWhole(Schema):
    """A bundle, and how far it is."""

    key: str = Field(description="Nobody guesses it, and it is listed nowhere: keep it.")
    state: BundleState = Field(
        description="What is `gone` was kept as long as it is; ask for it again, and it has the same bytes."
    )
    target: str
    model: str
    asked_at: datetime
    before: int = Field(description="How many bundles are made before it.")
    step: str = Field(description="What is being done.")
    done: int = Field(description="Bytes written.")
    total: int = Field(description="Bytes to write, as soon as that is known.")
    problem: str = Field(description="Why it failed.")
    size: int | None = Field(description="Bytes of the zip.")
    wheels: list[str] = Field(description="The names of the wheels in it.")
    apt: list[str] = Field(description="The Debian packages that they need, which are not in it.")
    download: str | None = Field(description="Where the zip is, once it is ready; in parts, too (Range).")
    expires_at: datetime | None = Field(description="Until when it is kept.")
    status: str = Field(description="Where to ask how far it is: every two seconds is often enough.")
    page: str = Field(description="The path of its page for people.")

    @staticmethod
    def of(bundle: Bundle, now: datetime) -> "BundleWhole":
        """Return it from its row."""
        ready = is_ready(bundle, now)
        is_gone = bundle.state == Bundle.State.READY and not ready
        return BundleWhole(
            key=bundle.key,
            state=BundleState.GONE if is_gone else BundleState(bundle.state),
            target=bundle.target.key,
            model=bundle.model,
            asked_at=bundle.asked_at,
            before=bundle.before,
            step=bundle.step,
            done=bundle.done,
            total=bundle.total,
            problem=bundle.problem,
            size=bundle.size,
            wheels=[entry["filename"] for entry in bundle.content.get("entries", ())],
            apt=list(bundle.content.get("apt", ())),
            download=reverse("bundle-zip", args=[bundle.key, bundle.filename]) if ready else None,
            expires_at=bundle.expires_at,
            status=f"{ROOT}/bundles/{bundle.key}",
            page=bundle.path,
        )


@router.post(
    "/requests",
    response=answers(Counted, 403, 404, 413, 422),
    summary="Ask for builds",
    openapi_extra=takes(Wishes),
    url_name="requests",
)
def requests(request: HttpRequest) -> Counted:
    """Ask for packages to be built, or to be followed if they are not yet: the more ask, the sooner.

    Each package counts once a day (UTC) for each address, and one address has a limit, here as on the pages.
    Of what was refused, the outcome says why; the whole is refused only where nothing can be asked for.  Of a
    package that is skipped here, or that PyPI no longer has or has put into quarantine, nothing is built or
    counted: that is `not-built`.
    """
    _refuse_other_sites(request)
    wishes = read_body(request, Wishes, _MOST_SENT)
    if not settings.PIWHEELS_REQUESTS_A_DAY:
        raise Refused(403, "This farm takes no requests.", "Its operator decides what is built.")
    target, names = target_of(wishes.target), list(_names(wishes.packages))
    counted = asking.ask_all(names, target, clients.address(request), database_now())
    refused = [name for name, answer in counted.items() if answer is Answer.NOT_BUILT]
    why = {package.name: package.why_not_built for package in Package.objects.filter(name__in=refused)}
    return Counted(
        requests=[
            OneWish(
                package=name,
                outcome=answer,
                said=f"{_SAID[answer]} {why.get(name, '')}".strip(),
                page=reverse("project", args=[name]),
            )
            for name, answer in counted.items()
        ]
    )


def _refuse_other_sites(request: HttpRequest) -> None:
    """Refuse what a page of another site asks in the name of whoever looks at it; programs name no site."""
    origin = request.headers.get("Origin", "")
    if origin and urlsplit(origin).netloc != request.get_host():
        raise Refused(
            403,
            "A page of another site cannot ask for this.",
            "Ask from a program, or on this site's own pages.",
        )


def _names(spellings: Iterable[str]) -> Iterable[str]:
    """Yield canonical names; refuses what is none."""
    for spelling in spellings:
        name = canonical(spelling)
        if not name:
            raise Refused(
                422, f"“{spelling}” is no name of a package.", "Names have letters, digits, “.”, “_” and “-”."
            )
        yield name


@router.post(
    "/bundles",
    response=answers(BundleWhole, 403, 404, 413, 422, 503),
    summary="Ask for a bundle",
    openapi_extra=takes(BundleQuestion),
    url_name="bundles",
)
def bundles(request: HttpRequest) -> BundleWhole:
    """Ask for one zip with all the wheels that a Pi without a network needs of some packages.

    It is made in the background; `status` says how far it is, and where to download it then. Whoever asks the
    same within an hour gets the same bundle; one address has a limit on a day (UTC), here as on the pages.
    """
    _refuse_other_sites(request)
    sent = read_body(request, BundleQuestion, _MOST_SENT)
    model = model_of(sent.model)
    question = Question(
        wanted=sent.text.replace("\r\n", "\n").strip(),
        installed=sent.installed.replace("\r\n", "\n").strip(),
        target=system_of(sent.target, model),
        model=model,
    )
    now = database_now()
    try:
        return BundleWhole.of(ask(question, clients.address(request), now), now)
    except (CannotRead, CannotRun) as error:
        raise Refused(422, str(error), "Send another text, or ask for another system or model.") from error
    except NoBundle as refusal:
        raise Refused(refusal.status, str(refusal), _AGAIN) from refusal


@router.get(
    "/bundles/{key}",
    response=answers(BundleWhole, 404, 422),
    summary="How far a bundle is",
    url_name="bundle",
)
def bundle(
    request: HttpRequest,
    key: Annotated[str, Path(pattern=r"^[A-Za-z0-9_-]{1,20}$", description="The key of the bundle.")],
) -> BundleWhole:
    """Say how far a bundle is, and where to download it once it is ready."""
    found = Bundle.objects.select_related("target").filter(key=key).first()
    if found is None:
        unknown("bundle")
    return BundleWhole.of(found, database_now())
