"""Builds in the middle of their lives, for the tests of the builders' door."""

import pytest

from builds.tests.pi import Pi
from builds.tests.rows import make_build, make_builder, make_running_build, make_version
from packages.clock import database_now


@pytest.fixture
def running():
    """A build in the middle of its life, and the builder that holds its ticket."""
    build, ticket = make_running_build(make_builder(heard_at=database_now()), now=database_now())
    return build, Pi(ticket)


@pytest.fixture
def waiting(running):
    """A build that waits for the builder of the running one."""
    build, _ = running
    return make_build(version=make_version("2.0"), target=build.target)
