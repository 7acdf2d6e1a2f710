"""The addresses of the index, from the root of the site; they must stay as they are, for ever."""

from django.urls import path, re_path

from simple import views

# What matches none of these was never anybody's name, and is answered without a look at rows.
PROJECT = r"^simple/(?P<name>[A-Za-z0-9._-]{1,200})"
FILE = r"^simple/(?P<name>[a-z0-9-]{1,200})/(?P<filename>[^/\x00]{1,255}\.whl)"

urlpatterns = [
    path("simple", views.root),
    path("simple/", views.root, name="simple-root"),
    re_path(PROJECT + r"\Z", views.project),
    re_path(PROJECT + r"/\Z", views.project, name="simple-project"),
    re_path(FILE + r"\Z", views.wheel_file, name="simple-file"),
    re_path(FILE + r"\.metadata\Z", views.metadata, name="simple-metadata"),
    re_path(r"^simple/", views.nothing),
]
