"""The addresses of the index, from the root of the site; they must stay as they are, for ever."""

from django.urls import path, re_path

from simple import views
from simple.indexes import FULL, PLATFORM, RELEASE

# What matches none of these was never anybody's name, and is answered without a look at rows.
NAME = r"(?P<name>[A-Za-z0-9._-]{1,200})"
FILE = r"^simple/(?P<name>[a-z0-9-]{1,200})/(?P<filename>[^/\x00]{1,255}\.whl)"
OF_RELEASE = rf"^(?P<release>{RELEASE})/simple"

urlpatterns = [
    path("simple", views.root),
    path("simple/", views.root, name="simple-root"),
    # Pages were files in the tree that piwheels.org's own software writes.
    path("simple/index.html", views.root),
    re_path(rf"^simple/{NAME}/index\.html\Z", views.project),
    re_path(rf"^simple/{NAME}\Z", views.project),
    re_path(rf"^simple/{NAME}/\Z", views.project, name="simple-project"),
    re_path(FILE + r"\Z", views.wheel_file, name="simple-file"),
    re_path(FILE + r"\.metadata\Z", views.metadata, name="simple-metadata"),
    re_path(rf"^simple/{NAME}/(?P<filename>[^/\x00]{{1,255}}\.whl(?:\.metadata)?)\Z", views.file_elsewhere),
    *(re_path(rf"^{index}/?\Z", views.root, {"index": index}) for index in (PLATFORM, FULL)),
    *(re_path(rf"^{index}/{NAME}/?\Z", views.project, {"index": index}) for index in (PLATFORM, FULL)),
    re_path(rf"{OF_RELEASE}/?\Z", views.root),
    re_path(rf"{OF_RELEASE}/{NAME}/?\Z", views.project),
    re_path(r"^simple/", views.nothing),
]
