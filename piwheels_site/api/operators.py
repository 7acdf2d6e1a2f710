"""The operators' part: how the server is, and what is wanted of builders; a token opens it.

A token is the one thing that is looked at, so no page of another site can do anything in somebody's name.
"""

from datetime import datetime
from typing import Annotated

from django.contrib.auth.models import User
from django.core.cache import cache
from django.http import HttpRequest
from ninja import Router, Schema
from ninja.security import HttpBearer
from pydantic import ConfigDict, Field

from builds.builders.turning import Turn, turn
from builds.log_text import clean
from builds.models import Builder
from packages import audit
from packages.admin_deeds import Wish
from packages.clock import database_now
from packages.health import sync_health
from piwheels_site import attention, machine
from piwheels_site.api.answers import ROOT, Refused, answers, read_body, takes
from piwheels_site.models import OperatorToken
from simple.models import DownloadDay

# How often all that is looked at, in seconds, however many look.
LOOKED_AT_EVERY = 3
# To how many builders one deed is done: each is a transaction, and their names fit into what nginx takes.
MOST_BUILDERS = 1000
_MOST_SENT = 1 << 20
# The same texts of a row as its own page has.
_LONGEST = 500


class OperatorsToken(HttpBearer):
    """A token that the admin or `manage.py create_operator_token` made."""

    def authenticate(self, request: HttpRequest, token: str) -> User | None:
        """Return whose it is, if it opens anything, and note that it was used."""
        now = database_now()
        found = OperatorToken.objects.by_secret(token, now)
        if found is None:
            return None
        found.use(now)
        user: User = found.user
        return user


router = Router(tags=["Operators"], auth=OperatorsToken())


class DiskWhole(Schema):
    """A disk of the server's."""

    holds: list[str] = Field(description="What the farm has on it.")
    size_bytes: int
    free_bytes: int


class ServerWhole(Schema):
    """The machine that answers."""

    load: float = Field(description="Over one minute.")
    processors: int
    memory_used: float | None = Field(description="The part of it that is in use, 0 to 1.")
    swap_used: float | None = Field(description="The same; null: it has none.")
    temperature_c: float | None
    disks: list[DiskWhole]


class SyncWhole(Schema):
    """How well the farm follows upstream."""

    lag: int = Field(description="Events of upstream's journal that were not read yet.")
    polled_s: float | None = Field(description="Seconds since that was last read to its end.")
    oldest_s: float | None = Field(description="Seconds that the longest waiting name waits.")
    warning: str = Field(description="What somebody has to look at.")


class MatterWhole(Schema):
    """One thing that needs a decision."""

    said: str
    since: datetime | None
    is_urgent: bool = Field(description="Whether the farm, or a part of it, stands still.")


class Figures(Schema):
    """What operators see of the farm beside what everybody does."""

    server: ServerWhole
    sync: SyncWhole
    downloads_today: int = Field(description="Since midnight, UTC.")
    matters: list[MatterWhole] = Field(description="What needs a decision, what is urgent first.")
    reasons: dict[str, str] = Field(description="Why builders are in their modes, and who says so, by name.")


class OperatorsFarm(Figures):
    """The same, and who asks."""

    user: str
    may_act: bool = Field(description="Whether the account may do anything to builders.")


class Wanted(Schema):
    """What is wanted of which builders."""

    model_config = ConfigDict(extra="forbid")

    deed: Turn = Field(
        description="`skip` ends the present build, which goes to another builder; `pause` lets it end and "
        "gives nothing more; `halt` is both; `resume` gives builds again; `stop` ends the builder's program "
        "once it is idle, and `kill` at once. `resume` does not start a program that was stopped."
    )
    builders: list[Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")]] = Field(
        min_length=1, max_length=MOST_BUILDERS, description="Their names.", examples=[["pi-07"]]
    )
    reason: str = Field("", max_length=200, description="Why; it is noted with who did it.")


class Turned(Schema):
    """What came of it for one builder."""

    name: str
    mode: Builder.Mode
    skipped: str | None = Field(description="Where the build is that was ended; null: it built nothing.")


class Done(Schema):
    """What came of it."""

    said: str
    builders: list[Turned]


@router.get(
    "/operators/farm",
    response=answers(OperatorsFarm, 401, 403),
    summary="The server, and what needs a decision",
    url_name="operators-farm",
)
def farm(request: HttpRequest) -> OperatorsFarm:
    """Give how the server is, how well it follows upstream, and what needs a decision."""
    user = _allowed(request, "builds.view_builder")
    found = cache.get_or_set("api-operators", _figures, LOOKED_AT_EVERY) or _figures()
    return OperatorsFarm(
        **dict(found), user=user.get_username(), may_act=user.has_perm("builds.change_builder")
    )


def _figures() -> Figures:
    """Return what is the same for all operators."""
    now = database_now()
    health = sync_health(now)
    today = DownloadDay.objects.filter(pk=now.date()).values_list("count", flat=True).first()
    reasons = Builder.objects.filter(is_enabled=True).exclude(mode_reason="")
    return Figures(
        server=ServerWhole.model_validate(machine.server(), from_attributes=True),
        sync=SyncWhole(
            lag=health.lag, polled_s=health.polled_s, oldest_s=health.oldest_s, warning=health.warning
        ),
        downloads_today=today or 0,
        matters=[
            MatterWhole(said=clean(each.said)[:_LONGEST], since=each.since, is_urgent=each.is_urgent)
            for each in attention.found(now)
        ],
        reasons={name: clean(reason) for name, reason in reasons.values_list("name", "mode_reason")},
    )


@router.post(
    "/operators/builders",
    response=answers(Done, 401, 403, 404, 413, 422),
    summary="Pause, halt, resume, skip or stop builders",
    openapi_extra=takes(Wanted),
    url_name="operators-builders",
)
def builders(request: HttpRequest) -> Done:
    """Do what is wanted of builders: of all that are named, or of none if one of them is not there.

    It is noted in the log of who did what, as what is done in the admin.
    """
    user = _allowed(request, "builds.change_builder")
    wanted = read_body(request, Wanted, _MOST_SENT)
    rows, now = _named(wanted.builders), database_now()
    wish = Wish(user.get_username(), clean(wanted.reason).strip())
    said = wish.said(wanted.deed.done.capitalize())
    action = "skip build of builder" if wanted.deed == Turn.SKIP else f"{wanted.deed} builder"
    with audit.noting(user.pk, action, rows, model=Builder, reason=wish.reason) as told:
        turned = [_turned(row, wanted.deed, said, now) for row in rows]
        told.said = _came_of_it(wanted.deed, turned)
    cache.delete_many(["api-farm", "api-operators"])
    return Done(said=told.said, builders=turned)


def _came_of_it(deed: Turn, turned: list[Turned]) -> str:
    """Say what was done to how many."""
    count = f"{len(turned)} builder{'s' * (len(turned) != 1)} {deed.done}"
    ended = sum(each.skipped is not None for each in turned)
    return f"{count}; {ended} build{'s' * (ended != 1)} ended and requeued." if deed.is_skip else f"{count}."


def _allowed(request: HttpRequest, permission: str) -> User:
    """Return whose token it is; refuses who may not do this."""
    user: User = request.auth  # type: ignore[attr-defined]  # ninja has put it there
    if not user.has_perm(permission):
        raise Refused(
            403, "Your role does not allow this.", "Ask an administrator for another role, or an operator."
        )
    return user


def _named(names: list[str]) -> list[Builder]:
    """Return the builders of these names, each once; refuses names that no builder has."""
    rows = list(Builder.objects.filter(name__in=set(names), is_enabled=True))
    if unknown := sorted(set(names) - {row.name for row in rows}):
        raise Refused(
            404,
            f"There is no builder {unknown[0]!r}, or it is retired; nothing was done.",
            f"Their names are at {ROOT}/farm.",
        )
    return rows


def _turned(row: Builder, wanted: Turn, said: str, now: datetime) -> Turned:
    """Do it to one of them."""
    ended = turn(row, wanted, said, now)
    return Turned(
        name=row.name, mode=Builder.Mode(row.mode), skipped=f"{ROOT}/builds/{ended.pk}" if ended else None
    )
