"""The doors of the site."""

from django.contrib import admin
from django.urls import include, path, re_path
from django.views.generic import RedirectView

from piwheels_site.pages.api_docs import api_docs
from piwheels_site.pages.badges import apt_list, badge
from piwheels_site.pages.build import build
from piwheels_site.pages.bundle import bundle_form, bundle_page, bundle_zip
from piwheels_site.pages.check import check_page
from piwheels_site.pages.explain import explain_page
from piwheels_site.pages.failure_feed import BreakageFeed, failure_feed
from piwheels_site.pages.failures import failure_class, failure_classes
from piwheels_site.pages.faq import faq
from piwheels_site.pages.farm import farm, farm_now
from piwheels_site.pages.feeds import NewWheels, ProjectBuilds
from piwheels_site.pages.health import healthz, readyz
from piwheels_site.pages.home import home
from piwheels_site.pages.json_help import json_help
from piwheels_site.pages.metrics import figures
from piwheels_site.pages.packages_json import packages_json
from piwheels_site.pages.project import project, without_slash
from piwheels_site.pages.project_json import project_json
from piwheels_site.pages.queue import queue
from piwheels_site.pages.request import request_build, request_missing
from piwheels_site.pages.search import search
from piwheels_site.pages.sitemap import robots, sitemap_index, sitemap_part
from piwheels_site.pages.stats import series_csv, series_json, stats
from piwheels_site.pages.status import status
from piwheels_site.pages.theme import theme

admin.autodiscover()

urlpatterns = [
    path("", home, name="home"),
    path("index.html", RedirectView.as_view(pattern_name="home", permanent=True)),
    path("project/<str:name>/", project, name="project"),
    path("project/<str:name>", without_slash),
    path("project/<str:name>/json", project_json, name="project-json"),
    path("project/<str:name>/json/", project_json),
    path(
        "project/<str:name>/json/index.json",
        RedirectView.as_view(pattern_name="project-json", permanent=True),
    ),
    path("project/<str:name>/index.html", RedirectView.as_view(pattern_name="project", permanent=True)),
    path("healthz", healthz, name="healthz"),
    path("readyz", readyz, name="readyz"),
    path("metrics", figures, name="metrics"),
    path("theme", theme, name="theme"),
    path("favicon.ico", RedirectView.as_view(url="/static/favicon.svg", permanent=True)),
    path(
        "explain/<str:name>", RedirectView.as_view(pattern_name="explain", permanent=True, query_string=True)
    ),
    path("explain/<str:name>/", explain_page, name="explain"),
    path("check", RedirectView.as_view(url="/check/", permanent=True)),
    path("check/", check_page, name="check"),
    path("check/request", request_missing, name="request-missing"),
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
    path("feeds/breakages.atom", BreakageFeed(), name="breakages-feed"),
    path("status", RedirectView.as_view(pattern_name="status", permanent=True)),
    path("status/", status, name="status"),
    path("packages.html", search, name="search"),
    path("packages.json", packages_json, name="packages-json"),
    path("packages", RedirectView.as_view(pattern_name="search", permanent=True, query_string=True)),
    path("project", RedirectView.as_view(pattern_name="search", permanent=True)),
    path("project/", RedirectView.as_view(pattern_name="search", permanent=True)),
    path("p/<str:name>", RedirectView.as_view(pattern_name="project", permanent=True)),
    path("p/<str:name>/", RedirectView.as_view(pattern_name="project", permanent=True)),
    *(
        path(f"p/<str:name>/{rest}", RedirectView.as_view(url=f"/project/%(name)s/{rest}", permanent=True))
        for rest in ("json", "json/", "json/index.json", "index.html")
    ),
    path("project/<str:name>/request", request_build, name="request"),
    path("json.html", json_help, name="json-help"),
    path("project/<str:name>/badge.svg", badge, name="badge"),
    path("project/<str:name>/builds.atom", ProjectBuilds(), name="project-feed"),
    path("feeds/new-wheels.atom", NewWheels(), name="new-wheels-feed"),
    path("apt/<slug:os_release>/<str:names>", apt_list, name="apt-list"),
    path("faq.html", faq, name="faq"),
    path("faq", RedirectView.as_view(url="/faq.html", permanent=True)),
    path("robots.txt", robots, name="robots"),
    path("sitemap.xml", sitemap_index, name="sitemap"),
    path("sitemap<int:number>.xml", sitemap_part, name="sitemap-part"),
    path("stats.html", stats, name="stats"),
    path("stats", RedirectView.as_view(pattern_name="stats", permanent=True, query_string=True)),
    path("stats/", RedirectView.as_view(pattern_name="stats", permanent=True, query_string=True)),
    path("stats/<slug:key>.csv", series_csv, name="stats-csv"),
    path("stats/<slug:key>.json", series_json, name="stats-json"),
    path("api/v1/docs", api_docs, name="api-docs"),
    re_path(r"^api(?:/|/v1/?)?\Z", RedirectView.as_view(pattern_name="api-docs")),
    path("api/v1/", include("piwheels_site.api.urls")),
    path("bundle", RedirectView.as_view(url="/bundle/", permanent=True, query_string=True)),
    path("bundle/", bundle_form, name="bundle"),
    path("bundle/<slug:key>/", bundle_page, name="bundle-page"),
    path("bundle/<slug:key>", RedirectView.as_view(pattern_name="bundle-page", permanent=True)),
    path("bundle/<slug:key>/<str:filename>", bundle_zip, name="bundle-zip"),
    path("", include("builds.urls")),
    # Below that of builds, which says what a number is.
    path("builds/<number:pk>/", build, name="build"),
    path("", include("simple.urls")),
    path("admin", RedirectView.as_view(url="/admin/")),
    path("admin/", admin.site.urls),
]

handler404 = "piwheels_site.pages.search.not_found"
handler500 = "piwheels_site.pages.broken.broken"
