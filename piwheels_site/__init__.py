"""Wiring of the site, and the pages that draw on every app; imported by no one."""

from piwheels_site.celery import app as celery_app

__all__ = ["celery_app"]
