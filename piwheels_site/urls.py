"""The doors of the site."""

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

from piwheels_site.pages.check import check_page
from piwheels_site.pages.explain import explain_page
from piwheels_site.pages.failure_feed import failure_feed
from piwheels_site.pages.failures import failure_class, failure_classes
from piwheels_site.pages.farm import farm, farm_now
from piwheels_site.pages.health import healthz
from piwheels_site.pages.home import home
from piwheels_site.pages.project import project, project_json
from piwheels_site.pages.queue import queue
from piwheels_site.pages.stats import series_csv, series_json, stats
from piwheels_site.pages.status import status
from piwheels_site.pages.theme import theme

admin.autodiscover()

urlpatterns = [
    path("", home, name="home"),
    path("project/<str:name>/", project, name="project"),
    path("project/<str:name>", RedirectView.as_view(pattern_name="project", permanent=True)),
    path("project/<str:name>/json", project_json, name="project-json"),
    path("project/<str:name>/json/", project_json),
    path("healthz", healthz, name="healthz"),
    path("theme", theme, name="theme"),
    path("favicon.ico", RedirectView.as_view(url="/static/favicon.svg", permanent=True)),
    path(
        "explain/<str:name>", RedirectView.as_view(pattern_name="explain", permanent=True, query_string=True)
    ),
    path("explain/<str:name>/", explain_page, name="explain"),
    path("check", RedirectView.as_view(url="/check/", permanent=True)),
    path("check/", check_page, name="check"),
    path("farm", RedirectView.as_view(pattern_name="farm", permanent=True)),
    path("farm/", farm, name="farm"),
    path("farm/now", farm_now, name="farm-now"),
    path("queue", RedirectView.as_view(pattern_name="queue", permanent=True, query_string=True)),
    path("queue/", queue, name="queue"),
    path("failures", RedirectView.as_view(pattern_name="failures", permanent=True)),
    path("failures/", failure_classes, name="failures"),
    path("failures/<slug:key>", RedirectView.as_view(pattern_name="failure", permanent=True)),
    path("failures/<slug:key>/", failure_class, name="failure"),
    path("feeds/failures.atom", failure_feed, name="failures-feed"),
    path("status", RedirectView.as_view(pattern_name="status", permanent=True)),
    path("status/", status, name="status"),
    path("stats.html", stats, name="stats"),
    path("stats", RedirectView.as_view(pattern_name="stats", permanent=True, query_string=True)),
    path("stats/", RedirectView.as_view(pattern_name="stats", permanent=True, query_string=True)),
    path("stats/<slug:key>.csv", series_csv, name="stats-csv"),
    path("stats/<slug:key>.json", series_json, name="stats-json"),
    path("", include("builds.urls")),
    path("", include("simple.urls")),
    path("admin", RedirectView.as_view(url="/admin/")),
    path("admin/", admin.site.urls),
]
