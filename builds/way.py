"""The steps of builds, in the log: one line each, for whoever follows a build through the farm.

They are written where lines are JSON (LOG_FORMAT); people who read a terminal have no use for thousands.
"""

import logging

from builder.log_lines import about
from builds.models import Build, Builder

logger = logging.getLogger("piwheels.way")


def say(step: str, build: Build, builder: Builder | None = None) -> None:
    """Log a step of a build; its builder is given where its row is older than that."""
    if not logger.isEnabledFor(logging.INFO):
        return
    who = builder or build.builder
    with about(build=build.pk, attempt=build.attempt, **({"builder": who.name} if who else {})):
        logger.info("%s", step)
