"""What needs a decision by a person, and nothing else; the operators' first screen shows it.

A matter goes away by itself when it is settled, so nobody has to tick it off.  `status` says to everybody how
things stand; here is what an operator does about it.  All of it costs a fixed number of queries, none of them
of many rows.
"""

import logging
from collections.abc import Mapping
from datetime import datetime

from django.urls import reverse

from piwheels_site.attention.builders import find_builders
from piwheels_site.attention.builds import (
    find_broken,
    find_campaigns,
    find_failures,
    find_refused,
    find_stuck,
    find_taken_down,
    find_upstream,
)
from piwheels_site.attention.matter import Look, Matter
from piwheels_site.attention.server import (
    find_backup,
    find_disks,
    find_downloads,
    find_index,
    find_messages,
    find_storage,
    find_sync,
    find_tasks,
)

__all__ = ["LOOKS", "Look", "Matter", "found", "look"]

logger = logging.getLogger(__name__)

# What is looked at, each by a name for whoever reads that a look failed.
LOOKS: dict[str, Look] = {
    "tasks": find_tasks,
    "builders": find_builders,
    "disks": find_disks,
    "failures": find_failures,
    "broken": find_broken,
    "stuck": find_stuck,
    "sync": find_sync,
    "upstream": find_upstream,
    "refused": find_refused,
    "taken down": find_taken_down,
    "campaigns": find_campaigns,
    "index": find_index,
    "storage": find_storage,
    "downloads": find_downloads,
    "backup": find_backup,
    "messages": find_messages,
}


def found(now: datetime) -> list[Matter]:
    """Return all that needs a decision, what is urgent first and then what has been there longest."""
    matters, _ = look(now)
    return sorted(matters.values(), key=lambda each: (not each.is_urgent, each.since or now))


def look(now: datetime, looks: Mapping[str, Look] | None = None) -> tuple[dict[str, Matter], set[str]]:
    """Return all of it by key, for whoever tells people, and which looks failed.

    A key begins with the name of its look.  One that fails says nothing of whether its matters are settled,
    keeps no other from looking, and is a matter itself.
    """
    found: dict[str, Matter] = {}
    failed = set()
    for name, find in (LOOKS if looks is None else looks).items():
        try:
            found |= {f"{name}:{matter.key}": matter for matter in find(now)}
        except Exception as error:
            logger.exception("The look at %s failed; what it found before is left as it is.", name)
            said = f"The look at {name} failed ({type(error).__name__}), so what is wrong there is not shown."
            url = reverse("status")
            found[f"{name}:look-failed"] = Matter("look-failed", said, None, url, "Read the log")
            failed.add(name)
    return found, failed
