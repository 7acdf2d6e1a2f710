import pytest
from django.contrib.contenttypes.models import ContentType

from builds.tests.rows import NOON, make_target
from simple.models import Bundle, Client, Download
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


@pytest.fixture
def bundle():
    """One whose question, last step and problem name a package."""
    said = dict.fromkeys(["wanted", "installed", "step", "problem"], "secret-package")
    return Bundle.objects.create(day=NOON.date(), client=1, target=make_target(), asked_at=NOON, **said)


LIST = "/admin/simple/bundle/"


@pytest.mark.django_db
def test_a_bundle_is_between_its_page_and_whoever_asked(admin_client, bundle):
    its_type = ContentType.objects.get_for_model(Bundle)

    listed = admin_client.get(LIST)
    row = admin_client.get(f"{LIST}{bundle.pk}/change/")
    page = admin_client.get(f"/admin/r/{its_type.pk}/{bundle.pk}/")

    assert (listed.status_code, row.status_code, page.status_code) == (200, 200, 404)
    assert f"bundle {bundle.pk} for" in row.content.decode()
    for shown in (listed, row):
        assert bundle.key not in shown.content.decode()
        assert "secret-package" not in shown.content.decode()


@pytest.mark.django_db
def test_a_bundle_is_found_by_its_whole_address_and_not_guessed_by_parts(admin_client, bundle):
    def found(query):
        return len(admin_client.get(LIST + query).context["cl"].result_list)

    assert found(f"?q={bundle.key}") == found("?state__exact=waiting") == 1
    assert found(f"?q={bundle.key[:-1]}") == 0
    for guess in ("key__startswith=", "wanted__contains=secret", "problem__contains=secret"):
        assert admin_client.get(f"{LIST}?{guess}").status_code == 400
