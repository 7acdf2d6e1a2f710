"""A fake PyPI, and the farm that follows it."""

from datetime import UTC, datetime, timedelta

import pytest

from packages import fetch, sync
from packages.changelog import Changelog
from packages.models import Package
from packages.pypi import PyPI
from tests.fake_pypi import FakePyPI


@pytest.fixture
def now():
    return datetime(2026, 11, 24, 12, tzinfo=UTC)


@pytest.fixture
def upstream():
    with FakePyPI() as server:
        yield server


@pytest.fixture
def pypi(upstream):
    with fetch.Session() as session:
        yield PyPI(upstream.simple_url, session)


@pytest.fixture
def followed(upstream, settings):
    """Let the farm's own client talk to the fake."""
    settings.PIWHEELS_PYPI = upstream.simple_url
    yield upstream
    sync.upstream().session.close()
    sync._client.cache_clear()


@pytest.fixture
def look_up(pypi, now):
    """Look the package `demo` up and return it."""

    def look(name="demo", *, believes_absence=True, **more):
        package = sync.look_up(pypi, name, now=now, believes_absence=believes_absence, **more)
        return package and Package.objects.get(pk=package.pk)

    return look


@pytest.fixture
def refresh(pypi, now):
    """Look marked names up, some seconds from now."""

    def run(after=0.0, limit=100):
        return sync.refresh(pypi, now=now + timedelta(seconds=after), limit=limit)

    return run


@pytest.fixture
def journal():
    """The same under the name of what these tests are about."""
    with FakePyPI() as server:
        yield server


@pytest.fixture
def changelog(journal):
    with fetch.Session() as session:
        yield Changelog(f"{journal.url}/pypi", session)
