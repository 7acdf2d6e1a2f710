from datetime import timedelta

import pytest
from celery.beat import PersistentScheduler
from kombu.utils.imports import symbol_by_name

from piwheels_site.beat import SteadyScheduler
from piwheels_site.celery import app

HOUR = timedelta(hours=1)


@pytest.fixture
def of_an_hour_ahead(tmp_path):
    """Return what makes a scheduler whose tasks all ran in an hour from now, as its file tells."""

    def make(kind):
        scheduler = kind(app=app, schedule_filename=str(tmp_path / kind.__name__))
        for entry in scheduler.schedule.values():
            entry.last_run_at = app.now() + HOUR
        scheduler.close()
        return kind(app=app, schedule_filename=str(tmp_path / kind.__name__))

    return make


def test_celerys_own_waits_until_a_clock_that_was_put_back_has_caught_up(of_an_hour_ahead):
    scheduler = of_an_hour_ahead(PersistentScheduler)

    assert scheduler.tick() > 60
    scheduler.close()


def test_ours_goes_on_at_once(of_an_hour_ahead, caplog):
    scheduler = of_an_hour_ahead(SteadyScheduler)

    assert scheduler.tick() <= 0.5
    assert "The clock was put back by 3600 s" in caplog.text
    scheduler.close()


def test_a_clock_that_is_put_back_while_it_runs_is_noticed(tmp_path):
    scheduler = SteadyScheduler(app=app, schedule_filename=str(tmp_path / "schedule"))
    scheduler.populate_heap()
    for entry in scheduler.schedule.values():
        entry.last_run_at = app.now() + HOUR

    assert scheduler.tick() <= 0.5
    scheduler.close()


def test_it_is_the_one_that_beat_takes():
    assert symbol_by_name(app.Beat().scheduler_cls) is SteadyScheduler
