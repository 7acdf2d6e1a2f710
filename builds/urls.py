"""Doors of this app: one for builders, one for people."""

from django.urls import include, path, re_path

from builder.contract import API
from builds import api, log_views, views

builders = [
    path("hello", api.hello, name="api-hello"),
    path("builds/<int:build>/<int:attempt>/claim", api.claim, name="api-claim"),
    path("builds/<int:build>/heartbeat", api.heartbeat, name="api-heartbeat"),
    path("builds/<int:build>/wheels/<path:filename>", api.wheel, name="api-wheel"),
    path("builds/<int:build>/report", api.report, name="api-report"),
]

urlpatterns = [
    path(API.lstrip("/"), include(builders)),
    path("builds/<int:pk>/", views.build, name="builds-build"),
    path("builds/<int:pk>/json", views.build_json, name="builds-json"),
    path("builds/<int:pk>/log", log_views.log, name="builds-log"),
    path("builds/<int:pk>/live", log_views.live, name="builds-live"),
    path("builds/<int:first>...<int:second>/diff", log_views.diff, name="builds-diff"),
    re_path(
        r"^logs/(?P<one>[0-9]{4})/(?P<two>[0-9]{4})/(?P<three>[0-9]{4})(?P<ending>\.txt(?:\.gz)?)\Z",
        log_views.archived,
        name="builds-archived-log",
    ),
    path("builds/<int:pk>/provenance/<str:filename>.json", views.provenance, name="builds-provenance"),
]
