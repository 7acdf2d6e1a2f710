"""Takes questions for a bundle: what cannot be read is refused at once, and nothing is made twice."""

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Q

from builds.models import Target
from simple import explain
from simple.asking import client_number
from simple.machines import Model
from simple.models import Bundle
from simple.requirements import CannotRead, read

# The lock of 300 packages with all hashes has a quarter of that.
MOST_BYTES = 1 << 20
# For so long the same question gets the same bundle, even if the index has something newer by now.
FRESH = timedelta(hours=1)
# More than that, and nobody would wait for theirs.
MOST_WAITING = 20


class Refused(Exception):
    """A bundle is not made now; the text says why, and `status` says it to programs."""

    def __init__(self, text: str, status: int) -> None:
        super().__init__(text)
        self.status = status


@dataclass(frozen=True)
class Question:
    """What somebody wants to have in one file, and for which machine."""

    wanted: str
    installed: str
    target: Target
    model: Model | None

    @property
    def sha256(self) -> str:
        """What the same question has in common."""
        said = [self.target.key, self.model.key if self.model else "", self.wanted, self.installed]
        return hashlib.sha256(json.dumps(said).encode()).hexdigest()


def ask(question: Question, address: str, now: datetime) -> Bundle:
    """Return the bundle for a question, which may be there already; raises CannotRead, CannotRun, Refused."""
    _refuse_what_cannot_be(question)
    same = Bundle.objects.filter(question=question.sha256)
    fresh = Bundle.objects.ready(now).filter(asked_at__gt=now - FRESH)
    known = same.filter(Q(pk__in=Bundle.objects.open()) | Q(pk__in=fresh)).order_by("asked_at").first()
    if known:
        return known
    client = client_number(address, now.date())
    _refuse_too_many(client, now)
    return Bundle.objects.create(
        day=now.date(),
        client=client,
        target=question.target,
        model=question.model.key if question.model else "",
        wanted=question.wanted,
        installed=question.installed,
        question=question.sha256,
        asked_at=now,
    )


def _refuse_what_cannot_be(question: Question) -> None:
    """Raise CannotRead or CannotRun for what no worker could make."""
    for text in (question.wanted, question.installed):
        if len(text.encode(errors="replace")) > MOST_BYTES or "\0" in text:
            raise CannotRead(f"It is no text of up to {MOST_BYTES >> 20} MiB.")
    asked = read(question.wanted)
    if asked.passed_over:
        # What is left out in silence is missed where there is no network.
        raise CannotRead(f"This cannot be in a bundle: {'; '.join(asked.passed_over[:5])}. Take it out.")
    if question.installed.strip():
        try:
            read(question.installed)
        except CannotRead as error:
            raise CannotRead(f"What is there already cannot be read. {error}") from error
    explain.machine_of(question.target, question.model)


def _refuse_too_many(client: int, now: datetime) -> None:
    """Raise Refused for who has had enough for today, and for everybody while many wait."""
    if not settings.PIWHEELS_BUNDLES_A_DAY:
        raise Refused("This farm makes no bundles.", 403)
    if Bundle.objects.filter(day=now.date(), client=client).count() >= settings.PIWHEELS_BUNDLES_A_DAY:
        raise Refused(
            f"{settings.PIWHEELS_BUNDLES_A_DAY} bundles a day are what one address has; "
            "ask again tomorrow (UTC).",
            429,
        )
    if Bundle.objects.open().count() >= MOST_WAITING:
        raise Refused("Too many bundles wait to be made; ask again in some minutes.", 503)
