"""Takes builders in and lets them go: their row, their token, and their user in Redis."""

import secrets
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import IntegrityError

from builds import dispatch
from builds.builders import redis_users
from builds.models import Builder, Target


class BadName(Exception):
    """The name can be no builder's; the text says what can."""


class Retired(Exception):
    """The builder was let go for good; the text says what takes it in again."""


@dataclass(frozen=True)
class Keys:
    """What a builder gets in with; kept nowhere on the server but as hashes."""

    builder: Builder
    token: str
    password: str

    @property
    def orders_url(self) -> str:
        """The Redis of its orders, with its user; the host is a guess where builders know another name."""
        orders = urlsplit(settings.PIWHEELS_ORDERS_URL)
        scheme = orders.scheme if orders.scheme in ("redis", "rediss") else "redis"
        host = orders.hostname or ""
        if host in ("", "127.0.0.1", "localhost"):
            host = "HOST"
        elif ":" in host:
            host = f"[{host}]"
        user = redis_users.user_for(self.builder.name)
        return f"{scheme}://{user}:{self.password}@{host}:{orders.port or 6379}/0"

    @property
    def server(self) -> str:
        """The site's address as the world sees it, as far as the settings tell."""
        return f"{(settings.CSRF_TRUSTED_ORIGINS or ['https://SERVER'])[0]}/"

    def text(self) -> str:
        """Return what an operator has to know, and the one command to run on the Pi."""
        user = redis_users.user_for(self.builder.name)
        known = (
            f"Redis knows {user} from now on."
            if redis_users.is_managed()
            else "A Redis with users gets this line in its ACL file, and `ACL LOAD` or a restart:\n"
            f"  {redis_users.line(self.builder.name, self.password)}"
        )
        return (
            f"{self.builder} builds for {self.builder.target}. This is shown once:\n"
            f"  token           {self.token}\n"
            f"  Redis password  {self.password}\n"
            f"  Redis address   {self.orders_url}\n"
            f"{known}\n"
            "On the Pi, in a checkout of this project; it asks for the token and the Redis address:\n"
            f"  sudo deploy/builder-setup {self.server} {self.builder}"
        )


def enrol(name: str, target: Target, now: datetime) -> Keys:
    """Take a builder in for a target; one that is known gets new keys, and the old ones are dead.

    Raises BadName, or RedisFault: then one that is known has its old keys, and a new one none in Redis.
    """
    known = Builder.objects.filter(name=name).first()
    # The old keys of one that is known are good until it has new ones of both kinds.
    password = _password(known) if known else ""
    builder = known or Builder(name=name)
    token = builder.enrol(target, now)
    try:
        builder.full_clean(exclude=["token_hash"])
        # Of one that is known its mode may be another by now.
        builder.save(update_fields=["target", "token_hash"] if builder.pk else None)
    except (ValidationError, IntegrityError) as error:
        raise _bad(name) from error
    return Keys(builder, token, password or _password(builder))


def known(name: str) -> Builder | None:
    """Return the builder of that name, if there is one, and write nothing; raises BadName."""
    rest = {field.name for field in Builder._meta.fields} - {"name"}
    try:
        Builder(name=name).clean_fields(exclude=rest)
        Builder(name=name).validate_constraints(exclude=rest)
    except ValidationError as error:
        raise _bad(name) from error
    return Builder.objects.filter(name=name).select_related("target").first()


def _bad(name: str) -> BadName:
    return BadName(f"{name!r} is no builder's name: use up to 40 lower-case letters, digits, hyphens.")


def refuse_retired(builder: Builder) -> None:
    """Raise Retired of a builder that was let go: no other mode and no new keys take it in again."""
    if not builder.is_enabled:
        raise Retired(f"{builder} is retired: `create_builder` takes it in again.")


def rekey(builder: Builder) -> Keys:
    """Give a builder a new token and a new Redis password.

    Raises Retired, or RedisFault, and then the old token is good.
    """
    # Its user in Redis would be made again, and nobody would remove it.
    refuse_retired(builder)
    password = _password(builder)
    return Keys(builder, builder.rekey(), password)


def retire(builder: Builder, reason: str, now: datetime) -> int:
    """Let a builder go: nothing that it holds opens anything any more, and its build goes to another.

    Who is retired already keeps the reason of the first time.  Returns how many builds that were; raises
    RedisFault when its user in Redis is still there.
    """
    if builder.is_enabled:
        builder.retire(reason, now)
    taken = dispatch.take_back(builder, f"Its builder {builder} was retired: {reason}", now)
    if redis_users.is_managed():
        redis_users.remove(builder.name)
    return taken


def forget(builder: Builder) -> None:
    """Remove a builder that never built, after its user in Redis, of which its row alone tells.

    Raises RedisFault, and then nothing is removed.
    """
    if redis_users.is_managed():
        redis_users.remove(builder.name)
    builder.delete()


def _password(builder: Builder) -> str:
    """Return a new password of a builder's user in Redis, who has it if that is for us to say."""
    password = secrets.token_hex(24)
    if redis_users.is_managed():
        redis_users.create(builder.name, password)
    return password
