"""Doors of this app: one for builders, one for people and programs."""

from django.urls import include, path, re_path, register_converter
from django.urls.converters import IntConverter

from builder.contract import API
from builds import api, views
from builds.log_pages import views as log_views


class NumberConverter(IntConverter):
    """A row's number, if it fits into a column; what is larger is nobody's, and no fault."""

    regex = "[0-9]{1,18}"


class AttemptConverter(IntConverter):
    """The number of an attempt, whose column is smaller."""

    regex = "[0-9]{1,9}"


register_converter(NumberConverter, "number")
register_converter(AttemptConverter, "attempt")

builders = [
    path("hello", api.hello, name="api-hello"),
    path("builds/<number:build>/<attempt:attempt>/claim", api.claim, name="api-claim"),
    path("builds/<number:build>/heartbeat", api.heartbeat, name="api-heartbeat"),
    path("builds/<number:build>/wheels/<path:filename>", api.wheel, name="api-wheel"),
    path("builds/<number:build>/report", api.report, name="api-report"),
]

urlpatterns = [
    path(API.lstrip("/"), include(builders)),
    path("builds/<number:pk>/json", views.build_json, name="builds-json"),
    path("builds/<number:pk>/log", log_views.log, name="builds-log"),
    path("builds/<number:pk>/live", log_views.live, name="builds-live"),
    path("builds/<number:first>...<number:second>/diff", log_views.diff, name="builds-diff"),
    re_path(
        r"^logs/(?P<one>[0-9]{4})/(?P<two>[0-9]{4})/(?P<three>[0-9]{4})(?P<ending>\.txt(?:\.gz)?)\Z",
        log_views.archived,
        name="builds-archived-log",
    ),
    path("builds/<number:pk>/provenance/<str:filename>.json", views.provenance, name="builds-provenance"),
]
