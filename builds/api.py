"""The builders' door: hello, claim, heartbeat, wheel, report, as `builder.contract` describes them.

Who may ask is settled here and nowhere else: a builder's token opens hello and claim, the ticket of one
attempt all the rest, for that attempt and no longer than it lives.
"""

from collections.abc import Callable
from functools import wraps

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_POST

from builder import contract
from builds import hearing, incoming, logs, recipes, results, wishes
from builds.clock import database_now
from builds.models import Build, Builder
from builds.publish import Ended, expected_of
from builds.verify import BadWheel, check_filename

# Each view has the parts of its path as further arguments, so their types are the views' own.
View = Callable[..., HttpResponse]

# How often a build is heard of.  Its builder learns so that it was called off, which must not take longer
# than 5 s from an operator's click to the end of the last process.
HEARTBEAT_S = 2.0
# What a builder has to say of itself takes a tenth of this, in bytes.
HELLO_LIMIT = 64 << 10
# What a builder may try again later; everything else that it sends wrong is 400.
STATUS: dict[type[Exception], int] = {incoming.Busy: 423, incoming.OutOfSpace: 507}


def error(status: int, text: str, **more: str) -> JsonResponse:
    """Return an error as the contract has it."""
    return JsonResponse({"error": text, **more}, status=status)


def answer(message: object) -> HttpResponse:
    """Return one of the contract's messages."""
    return HttpResponse(contract.encode(message), content_type="application/json")


def _secret(request: HttpRequest) -> str:
    """Return the token or ticket of a request; "" when there is none."""
    scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
    return secret.strip() if scheme.lower() == "bearer" else ""


def for_builder(view: View) -> View:
    """Let in a builder with its token, and hand it to the view."""

    @csrf_exempt
    @wraps(view)
    def door(request: HttpRequest, **path: int | str) -> HttpResponse:
        builder = Builder.objects.by_token(_secret(request))
        if builder is None:
            return error(401, "This token is not known: create the builder, or give it a new token.")
        try:
            return view(request, builder, **path)
        except contract.BadMessage as problem:
            return error(400, str(problem))

    return door


def for_ticket(view: View) -> View:
    """Let in whoever has the ticket of this very build, prolong its lease and hand its number to the view."""

    @csrf_exempt
    @wraps(view)
    def door(request: HttpRequest, build: int, **path: str) -> HttpResponse:
        if not Build(pk=build).renew(_secret(request), database_now()):
            return error(409, "This ticket is not, or no longer, good for this build: stop it and forget it.")
        try:
            return view(request, build, **path)
        except (contract.BadMessage, incoming.BadUpload) as problem:
            return error(STATUS.get(type(problem), 400), str(problem))

    return door


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
    source = wishes.source_of(found)
    if source is None:
        found.drop("Upstream has no source for it any more.", now)
        return error(409, "Upstream has no source for this version any more.")
    made_by = recipes.ingredients(found)
    ticket = found.claim(builder, source, now, made_by.time_limit_s)
    if not ticket:
        return error(409, f"This build is {found.state}: it is not this builder's to start. Forget it.")
    builder.hear(now)
    return answer(
        contract.BuildOrder(
            contract=contract.CONTRACT,
            build=found.pk,
            attempt=found.attempt,
            ticket=ticket,
            package=found.version.package.name,
            version=found.version.number,
            target=found.target.key,
            platform=found.target.platform,
            platforms=tuple(found.target.platform_tags),
            architecture=found.target.architecture,
            abi=found.target.abi,
            filename=source.filename,
            url=source.url,
            sha256=source.sha256,
            uploaded_at=int(source.uploaded_at.timestamp()) if source.uploaded_at else None,
            index=settings.PIWHEELS_PYPI,
            extra_index=settings.PIWHEELS_BUILDERS_INDEX,
            crates=settings.PIWHEELS_CRATES,
            time_limit_s=made_by.time_limit_s,
            memory_bytes=made_by.memory_bytes,
            apt=made_by.apt,
            environment=made_by.environment,
            rung=made_by.rung,
            rebuild_under_s=settings.PIWHEELS_REBUILD_UNDER_S,
            heartbeat_s=min(HEARTBEAT_S, settings.PIWHEELS_LEASE_S / 4),
        )
    )


@require_POST
@for_ticket
def heartbeat(request: HttpRequest, build: int) -> HttpResponse:
    """Take the growth of a build's log; an empty body says that the build goes on."""
    chunk = request.read(contract.LOG_CHUNK)
    offset = request.GET.get("log", "0")
    if not offset.isdecimal() or len(offset) > 18:
        return error(400, "The parameter log must be the offset of the body in the log, in bytes.")
    size = logs.append(build, int(offset), chunk)
    return answer(contract.Heartbeat(log_size=size))


@require_http_methods(["HEAD", "PATCH"])
@for_ticket
def wheel(request: HttpRequest, build: int, filename: str) -> HttpResponse:
    """Take some more bytes of a wheel, or tell how many have come."""
    found = _running(build)
    try:
        check_filename(filename, expected_of(found))
    except BadWheel as problem:
        return error(422, str(problem))
    sha256 = request.headers.get("Upload-Sha256", "")
    if request.method == "PATCH":
        offset = incoming.receive(
            build,
            sha256,
            request,
            offset=_number(request, "Upload-Offset"),
            length=_number(request, "Content-Length"),
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
def report(request: HttpRequest, build: int) -> HttpResponse:
    """Close a build as its builder reports it, and tell what became of it."""
    found = _running(build)
    try:
        verdict = results.close(found, contract.decode(contract.BuildReport, request.body), database_now())
    except Ended:
        return error(409, "This build has ended in the meantime: forget it.")
    if verdict.state == Build.State.FAILED and found.refusals.exists():
        return error(422, verdict.reason, state=verdict.state, reason=verdict.reason)
    return answer(verdict)
