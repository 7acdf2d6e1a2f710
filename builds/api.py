"""The builders' door: hello, claim, heartbeat, wheel, report, as `builder.contract` describes them.

Who may ask is settled here and nowhere else: a builder's token opens hello and claim, the ticket of one
attempt all the rest, for that attempt and no longer than it lives.
"""

import errno
import logging
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import datetime
from functools import wraps

from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_POST

from builder import contract
from builder.log_lines import about
from builds import attached, dispatch, orders, results
from builds.builders import hearing
from builds.files import incoming, logs, moving
from builds.models import Build, Builder
from builds.publish import Ended, expected_of
from builds.wheels.wheel_names import BadWheel, check_filename
from packages.clock import database_now

# Each view has the parts of its path as further arguments, so their types are the views' own.
View = Callable[..., HttpResponse]

logger = logging.getLogger(__name__)

# What a builder has to say of itself takes a tenth of this, in bytes.
HELLO_LIMIT = 64 << 10
# Of a wheel, a builder sends half of this at a time.
PIECE_LIMIT = 8 << 20
# What a line of 128 kbit/s takes for what a builder sends.
PIECE_S = 300.0
# What a builder may try again later; everything else that it sends wrong is 400.
STATUS: dict[type[Exception], int] = {incoming.Busy: 423, incoming.OutOfSpace: 507}
# A builder that has waited longer for its verdict may be about to report again, and would never read of an
# order that came with the first one: that build would be lost, for no fault of its own.
IN_TIME_S = 45.0
_DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


def error(status: int, text: str) -> JsonResponse:
    """Return an error as the contract has it."""
    return JsonResponse({"error": text}, status=status)


def answer(message: object) -> HttpResponse:
    """Return one of the contract's messages."""
    return HttpResponse(contract.encode(message), content_type="application/json")


def _secret(request: HttpRequest) -> str:
    """Return the token or ticket of a request; "" when there is none.

    It has one spelling alone, as nginx counts uploads by this header.
    """
    scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
    return secret if scheme == "Bearer" else ""


def for_builder(view: View) -> View:
    """Let in a builder with its token, and hand it to the view."""

    @csrf_exempt
    @wraps(view)
    def door(request: HttpRequest, **path: int | str) -> HttpResponse:
        builder = Builder.objects.by_token(_secret(request))
        if builder is None:
            return error(401, "This token is not known: create the builder, or give it a new token.")
        try:
            with about(builder=builder.name):
                return view(request, builder, **path)
        except contract.BadMessage as problem:
            return error(400, str(problem))

    return door


def for_ticket(view: View) -> View:
    """Let in whoever has this very build's ticket, prolong its lease, and hand on its number and the time."""

    @csrf_exempt
    @wraps(view)
    def door(request: HttpRequest, build: int, **path: str) -> HttpResponse:
        now = database_now()
        if not Build(pk=build).renew(_secret(request), now):
            _heed_repetition(request, build, now)
            return error(409, "This ticket is not, or no longer, good for this build: stop it and forget it.")
        try:
            with about(build=build):
                return view(request, build, now, **path)
        except (contract.BadMessage, incoming.BadUpload) as problem:
            return error(STATUS.get(type(problem), 400), str(problem))
        except moving.faults() as problem:
            # What a disk has but that it is full is a fault to be seen, and not to wait for.
            if isinstance(problem, OSError) and problem.errno not in _DISK_FULL:
                raise
            logger.error("Nothing can be stored: %s", problem)
            return error(507, "The server can store nothing now: try again later.")

    return door


def _heed_repetition(request: HttpRequest, build: int, now: datetime) -> None:
    """Take back the order that came with the verdict on a report, if its builder reports once more."""
    if builder := _reporter(request):
        ended = builder.builds.filter(pk=build, finished_at__isnull=False).first()
        if ended and ended.finished_at:
            dispatch.take_back_unheard(builder, ended.finished_at, now)


def _reporter(request: HttpRequest) -> Builder | None:
    """Return the builder that reports and asks for its next order, by its own token."""
    secret = request.headers.get("Next-For", "")
    return Builder.objects.by_token(secret) if secret else None


def _running(build: int) -> Build:
    """Return a build whose ticket was good a moment ago."""
    found = Build.objects.of_request(build)
    if found is None:
        raise Http404
    return found


@require_POST
@for_builder
def hello(request: HttpRequest, builder: Builder) -> HttpResponse:
    """Note that a builder is there, and what it says of itself."""
    now = database_now()
    try:
        if len(request.body) > HELLO_LIMIT:
            raise contract.BadMessage(f"A hello has at most {HELLO_LIMIT} bytes.")
        facts = contract.decode(contract.BuilderFacts, request.body)
    except contract.BadMessage as problem:
        builder.refuse(f"Its hello was refused: {problem}", now)
        raise
    return answer(hearing.hear(builder, facts, now))


@require_POST
@for_builder
def claim(request: HttpRequest, builder: Builder, build: int, attempt: int) -> HttpResponse:
    """Give a builder the order for a build that was assigned to it."""
    found = Build.objects.given(build, attempt, builder)
    if found is None:
        return error(404, "No such build was given to this builder.")
    now = database_now()
    try:
        order = orders.claim(found, builder, now)
    except orders.NotGiven as refusal:
        if found.state == Build.State.BUILDING and found.claimed_at:
            dispatch.take_back_unheard(builder, found.claimed_at, now)
        return error(409, str(refusal))
    builder.hear(now)
    return answer(order)


@require_POST
@for_ticket
def heartbeat(request: HttpRequest, build: int, now: datetime) -> HttpResponse:
    """Take the growth of a build's log; an empty body says that the build goes on."""
    chunk = request.read(contract.LOG_CHUNK)
    offset = request.GET.get("log", "0")
    if not offset.isdecimal() or len(offset) > 18:
        return error(400, "The parameter log must be the offset of the body in the log, in bytes.")
    size = logs.append(build, int(offset), chunk)
    return answer(contract.Heartbeat(log_size=size, is_watched=logs.is_watched(build)))


@require_http_methods(["HEAD", "PATCH"])
@for_ticket
def wheel(request: HttpRequest, build: int, now: datetime, filename: str) -> HttpResponse:
    """Take some more bytes of a wheel, or tell how many have come."""
    found = _running(build)
    try:
        check_filename(filename, expected_of(found))
    except BadWheel as problem:
        return error(422, str(problem))
    sha256 = request.headers.get("Upload-Sha256", "")
    if request.method == "PATCH":
        length = _number(request, "Content-Length")
        if length > PIECE_LIMIT:
            raise incoming.BadUpload(f"Send {PIECE_LIMIT} bytes of a wheel at a time, at most.")
        # gunicorn's; the server that is for trying out has none.
        connection = request.META.get("gunicorn.socket")
        with incoming.place(found.builder_id), incoming.cut_off_after(PIECE_S, connection):
            offset = incoming.receive(
                build,
                sha256,
                request,
                offset=_number(request, "Upload-Offset"),
                length=length,
                total=_number(request, "Upload-Length"),
            )
        found.begin_upload()
    else:
        offset = incoming.received(build, sha256)
    return HttpResponse(headers={"Upload-Offset": str(offset)})


def _number(request: HttpRequest, header: str) -> int:
    """Return a header that must be a number; raises BadUpload when it is missing or none."""
    value = request.headers.get(header, "")
    if not value.isdecimal() or len(value) > 18:
        raise incoming.BadUpload(f"The header {header} must be a number of bytes.")
    return int(value)


@require_POST
@for_ticket
def report(request: HttpRequest, build: int, now: datetime) -> HttpResponse:
    """Close a build as its builder reports it, and tell what became of it."""
    found = _running(build)
    length = _number(request, "Report-Length") if "Report-Length" in request.headers else None
    began = time.monotonic()
    try:
        with incoming.place_to_report(found.builder_id):
            verdict = results.close(found, *attached.split(request.body, length), now)
    except Ended:
        return error(409, "This build has ended in the meantime: forget it.")
    if time.monotonic() - began < IN_TIME_S:
        verdict = replace(verdict, next=_next(request, found))
    if verdict.state == Build.State.FAILED and found.refusals.exists():
        return JsonResponse({"error": verdict.reason, **asdict(verdict)}, status=422)
    return answer(verdict)


def _next(request: HttpRequest, ended: Build) -> contract.BuildOrder | None:
    """Return the next order of the builder that reports, if it asks for one with its own token."""
    builder = _reporter(request)
    # A ticket alone opens no other build, and a token only what is its own builder's.
    if builder is None or builder.pk != ended.builder_id:
        return None
    try:
        # What it gets has its lease from now on, and not since before the report was read.
        return orders.next_for(builder, database_now())
    except Exception:
        # What it has reported is closed, and it is to hear of that; it is told of its next build by a ring.
        logger.exception("%s, which has reported build %s, got no next order.", builder, ended.pk)
        return None
