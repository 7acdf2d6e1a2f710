from datetime import timedelta

import pytest

from packages.health import sync_health
from packages.models import Dirty, SyncCursor

pytestmark = pytest.mark.django_db


def test_a_fresh_farm_knows_nothing_and_warns_of_nothing(now):
    health = sync_health(now)

    assert (health.journal, health.listing, health.warning) == ("not asked yet", "not asked yet", "")
    assert (health.polled_s, health.oldest_s, health.lag) == (None, None, 0)


def test_health_tells_what_is_in_use_and_how_far_behind_we_are(now):
    SyncCursor.objects.create(
        serial=7, upstream_serial=9, journal="xml-rpc", listing="serials", polled_at=now, stale_answers=3
    )
    for name, minutes in (("a", 1), ("b", 5)):
        Dirty.objects.create(name=name, marked_at=now - timedelta(minutes=minutes))

    health = sync_health(now + timedelta(seconds=2))

    assert (health.journal, health.listing) == ("XML-RPC", "names and serials")
    assert (health.lag, health.polled_s, health.oldest_s, health.stale_answers) == (2, 2.0, 302.0, 3)
    assert health.warning == ""


def test_health_warns_of_a_silent_journal(now):
    SyncCursor.objects.create(serial=7, journal="xml-rpc", polled_at=now)

    assert "last read at 2026-11-24 12:00" in sync_health(now + timedelta(hours=1)).warning


def test_health_says_that_absences_are_doubted_and_what_to_do(now):
    SyncCursor.objects.create(doubted_at=now, doubted=99)

    assert "99 packages" in sync_health(now).warning
    assert "reconcile --believe" in sync_health(now).warning


def test_a_pause_that_upstream_asked_for_is_told(now):
    SyncCursor.objects.create(paused_until=now + timedelta(seconds=9))

    assert sync_health(now).paused
    assert not sync_health(now + timedelta(seconds=10)).paused
