"""The builders' users in Redis: each may wait at its own queue and do nothing else.

With PIWHEELS_REDIS_ADMIN_URL they are made and removed from here; without it the operator copies `line` into
the server's ACL file.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from typing import Any

from django.conf import settings
from redis import Redis
from redis.exceptions import RedisError, ResponseError

from builder.contract import queue_for

# What Redis before 7.2 does not know; a client that is denied it goes on without.
_NEW = "+client|setinfo"


class RedisFault(Exception):
    """The users could not be changed; the text says what to do."""


def user_for(builder: str) -> str:
    """Return the name of a builder's user."""
    return f"b-{builder}"


def rights(builder: str) -> list[str]:
    """Return all that a builder's user may do, as ACL SETUSER has it."""
    keys = ["resetkeys", "resetchannels", "-@all", f"~{queue_for(builder)}"]
    return [*keys, "+ping", "+client|setname", _NEW, "+brpop"]


def line(builder: str, password: str) -> str:
    """Return a builder's line for the server's ACL file, which holds no password but its sha256."""
    return f"user {user_for(builder)} on #{_digest(password)} {' '.join(rights(builder))}"


def is_managed() -> bool:
    """Tell whether users are made and removed from here."""
    return bool(settings.PIWHEELS_REDIS_ADMIN_URL)


def create(builder: str, password: str) -> None:
    """Give a builder its user, or the one it has another password; raises RedisFault.

    Connections with the old password are cut, as a changed user would keep them open.
    """
    user, words = user_for(builder), ["on", f"#{_digest(password)}", *rights(builder)]
    with _admin() as admin:
        _acl(admin, "DELUSER", user)
        try:
            _acl(admin, "SETUSER", user, *words)
        except ResponseError as error:
            if _NEW not in str(error):
                raise
            words.remove(_NEW)
            _acl(admin, "SETUSER", user, *words)
        _save(admin)


def remove(builder: str) -> None:
    """Remove a builder's user, which cuts its connections at once, and its queue; raises RedisFault."""
    with _admin() as admin:
        _acl(admin, "DELUSER", user_for(builder))
        admin.delete(queue_for(builder))
        _save(admin)


def _acl(admin: Any, *words: str) -> None:  # Any: Redis, of which this method has no types
    """Say one of the commands that change users."""
    admin.execute_command("ACL", *words)


def _save(admin: Redis) -> None:
    """Write the users where the next start finds them."""
    try:
        _acl(admin, "SAVE")
    except ResponseError as error:
        raise RedisFault(
            f"Redis has changed the user and could not save that ({error}): start it with --aclfile, in a "
            "folder that it may write to, and do this again."
        ) from error


@contextmanager
def _admin() -> Iterator[Redis]:
    """Connect as the user that may change others."""
    admin = Redis.from_url(settings.PIWHEELS_REDIS_ADMIN_URL, socket_timeout=10, socket_connect_timeout=5)
    try:
        yield admin
    except RedisError as error:
        raise RedisFault(
            f"Redis' users cannot be changed ({error}): look at PIWHEELS_REDIS_ADMIN_URL."
        ) from error
    finally:
        admin.close()


def _digest(password: str) -> str:
    """Return what an ACL file holds of a password."""
    return sha256(password.encode()).hexdigest()
