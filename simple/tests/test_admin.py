import pytest
from django.utils import timezone

from simple import downloads
from simple.models import Download
from simple.tests.rows import make_wheel


@pytest.mark.django_db
def test_operators_read_the_counts_and_change_none(admin_client):
    wheel = make_wheel()
    downloads.count(wheel, timezone.now().date())
    row = Download.objects.get()

    shown = admin_client.get("/admin/simple/download/")
    changed = admin_client.post(f"/admin/simple/download/{row.pk}/change/", {"count": 9})

    assert wheel.filename in shown.content.decode()
    assert (changed.status_code, admin_client.get("/admin/simple/download/add/").status_code) == (403, 403)
    assert Download.objects.get().count == 1
