"""Whoever had to wait may ask again in the next minute, and not before."""

import pytest

from piwheels_site import limits
from piwheels_site.limits import window


@pytest.fixture
def minutes(monkeypatch):
    """Have minutes end, as they do amid no other test."""
    monkeypatch.setattr(limits, "window", window)


@pytest.mark.parametrize(
    ("now", "wait_s"),
    [(7 * 60 + 0.9, 60), (7 * 60 + 59.9, 1), (8 * 60, 0), (6 * 60 + 59.9, 0)],
)
def test_a_client_has_so_much_in_each_minute(settings, rf, minutes, now, wait_s):
    settings.PIWHEELS_API_A_MINUTE = 10
    request = rf.get("/")

    assert limits.wait_s(request, 10, now=7 * 60) == 0
    assert limits.wait_s(request, 1, now=now) == wait_s


def test_whoever_failed_to_sign_in_may_try_in_the_next_quarter_of_an_hour(settings, rf, minutes):
    request, quarter_s = rf.get("/"), limits.SIGN_IN_WINDOW_S
    for _ in range(limits.FAILURES_OF_CLIENT):
        limits.count_failed_sign_in(request, "ann", now=4 * quarter_s)

    waits_s = [limits.sign_in_wait_s(request, "ann", now=4 * quarter_s + into) for into in (0, 899.9, 900)]

    assert waits_s == [quarter_s, 1, 0]
