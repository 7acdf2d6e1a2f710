"""What every test of the server may rely on: a storage and a folder for uploads of its own.

What takes long is left out unless it is asked for.
"""

import pytest
from django.conf import settings as django_settings
from django.core.cache import cache, caches
from kombu import Connection

from builds.files.stored import MARK

# A test's passwords are nobody's, and need not take a quarter of a second each, as those of people do.
_QUICK = "django.contrib.auth.hashers.MD5PasswordHasher"
django_settings.PASSWORD_HASHERS = [_QUICK, *django_settings.PASSWORD_HASHERS]
# Each client of a test has middleware of its own, which would look at every static file beforehand.
django_settings.WHITENOISE_AUTOREFRESH = True

# Marks of what has a target of its own in the Makefile.
SLOW = ("faults", "day", "clients", "imports")


def pytest_collection_modifyitems(config, items):
    """Leave out what takes long, unless `-m` speaks of it."""
    slow = [mark for mark in SLOW if mark not in config.option.markexpr]
    left_out = {item for item in items if any(map(item.get_closest_marker, slow))}
    config.hook.pytest_deselected(items=list(left_out))
    items[:] = [item for item in items if item not in left_out]


@pytest.fixture(autouse=True)
def _own_files(request):
    """Keep tests' files apart, and what clients asked; the builder's run without Django and have none."""
    if "settings" not in request.fixturenames and not request.node.get_closest_marker("django_db"):
        return
    for kind in ("limits", "sign-ins"):
        caches[kind].clear()
    # What one client asked counts until the minute ends, which none does amid a test.
    patch = request.getfixturevalue("monkeypatch")
    patch.setattr("piwheels_site.limits.window", lambda now, length_s: (0, int(now) % length_s))
    settings, folder = request.getfixturevalue("settings"), request.getfixturevalue("tmp_path")
    settings.PIWHEELS_INCOMING = folder / "incoming"
    settings.PIWHEELS_PUBLIC = folder / "public"
    settings.PIWHEELS_BUNDLES = folder / "bundles"
    files = folder / "files"
    settings.STORAGES = {
        **settings.STORAGES,
        "default": {"BACKEND": "builds.files.storage.WholeFileStorage", "OPTIONS": {"location": str(files)}},
    }
    files.mkdir()
    # Many have rows of wheels without files, by which nobody would know the folder.
    (files / MARK).touch()


@pytest.fixture
def broker():
    """Return the broker as a plain client sees it, without orders of other tests."""
    with Connection(django_settings.PIWHEELS_ORDERS_URL) as connection:
        connection.default_channel.client.flushdb()
        yield connection.default_channel.client


@pytest.fixture(autouse=True)
def _lasting_notices(request):
    """Have the site's notices remembered where statements are counted, which are one more at times."""
    names = {*request.fixturenames}
    if (
        names.isdisjoint({"django_assert_num_queries", "django_assert_max_num_queries"})
        or "client" not in names
    ):
        yield
        return
    request.getfixturevalue("monkeypatch").setattr("piwheels_site.models.Notice._KEPT_S", None)
    cache.clear()
    request.getfixturevalue("client").get("/nothing")
    yield
    cache.clear()
