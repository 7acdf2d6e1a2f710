"""The steps of builds, in the log: one line each, for whoever follows a build through the farm.

They are written where lines are JSON (LOG_FORMAT); people who read a terminal have no use for thousands.
"""

import logging
from typing import TYPE_CHECKING

from builder.log_lines import about

# Models say what became of them; so this has their classes for types only.
if TYPE_CHECKING:
    from builds.models.build import Build
    from builds.models.builder import Builder

logger = logging.getLogger("piwheels.way")


def say(step: str, build: "Build", builder: "Builder | None" = None) -> None:
    """Log a step of a build; its builder is given where its row is older than that."""
    if not logger.isEnabledFor(logging.INFO):
        return
    who = builder or build.builder
    with about(build=build.pk, attempt=build.attempt, **({"builder": who.name} if who else {})):
        logger.info("%s", step)
