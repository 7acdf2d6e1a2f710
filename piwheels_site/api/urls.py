"""Addresses of the API, whose names are its own: pages of the site have the same."""

from piwheels_site.api import door

app_name = "api"
urlpatterns = door.urls()
