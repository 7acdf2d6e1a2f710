import pytest

from simple.models import Client, Download
from simple.tests.rows import make_wheel


@pytest.mark.django_db
def test_operators_read_the_counts_and_change_none(admin_client, client):
    wheel = make_wheel()
    client.get(wheel.url)
    row = Download.objects.get()

    shown = admin_client.get("/admin/simple/download/")
    changed = admin_client.post(f"/admin/simple/download/{row.pk}/change/", {"count": 9})

    assert wheel.filename in shown.content.decode()
    assert (changed.status_code, admin_client.get("/admin/simple/download/add/").status_code) == (403, 403)
    assert Download.objects.get().count == 1


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("table", "verb"),
    [
        ("simple/download", "view"),
        ("builds/refusal", "view"),
        ("builds/build", "change"),
    ],
)
def test_a_list_of_records_offers_no_change_that_it_has_no_action_for(admin_client, table, verb):
    page = admin_client.get(f"/admin/{table}/").content.decode()

    assert f"<h1>Select {table.partition('/')[2]} to {verb}</h1>" in page


@pytest.mark.django_db
def test_what_a_client_did_not_say_can_be_chosen_as_that(admin_client):
    Client.objects.create(installer="pip", python="3.13")
    Client.objects.create(installer="browser", python="")

    page = admin_client.get("/admin/simple/client/?python=")

    assert '<a href="?python=">not said</a>' in page.content.decode()
    assert [row.installer for row in page.context["cl"].result_list] == ["browser"]
