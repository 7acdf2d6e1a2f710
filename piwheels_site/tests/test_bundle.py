import re
from datetime import timedelta

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from builds.models import Dependency, Target
from builds.tests.rows import make_target
from packages.clock import database_now
from simple.bundle import work
from simple.models import Bundle
from simple.tests.rows import make_wheel
from tests.seen import markup

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def pi():
    return make_target("test-armhf-cp313")


def post(client, said="one", **fields):
    return client.post("/bundle/", {"os": "test", "model": "4", "text": said, **fields})


def ready(client, said="one", **fields):
    """Return the address of a bundle that is made."""
    address = post(client, said, **fields)["Location"]
    assert work.make_next(database_now)
    return address


def download_of(client, address):
    [link] = re.findall(r'href="(/bundle/[^"]+\.zip)"', client.get(address).content.decode())
    return link


def body(response):
    return b"".join(response.streaming_content)


def test_a_bundle_is_asked_for_waited_for_and_downloaded(client):
    wheel = make_wheel("one", requires=("two",))
    make_wheel("two")
    Dependency.objects.create(wheel=wheel, tool="apt", name="libpq5", requirement="libpq5")

    address = post(client)["Location"]
    assert "It is the next." in markup(client.get(address))
    work.make_next(database_now)
    page = markup(client.get(address))
    found = client.get(download_of(client, address))

    assert "Ready: 2 wheels" in page
    assert "sudo apt install libpq5 " in page
    assert found["Content-Type"] == "application/zip"
    assert body(found) == work.zip_path(Bundle.objects.get().digest).read_bytes()


def test_a_download_goes_on_where_it_broke_off(client):
    make_wheel("one")
    link = download_of(client, ready(client))
    whole = client.get(link)
    content = body(whole)

    part = client.get(link, headers={"Range": "bytes=100-", "If-Range": whole["ETag"]})

    assert (part.status_code, body(part)) == (206, content[100:])
    assert client.get(link, headers={"If-None-Match": whole["ETag"]}).status_code == 304
    head = client.head(link)
    assert (head["Content-Length"], head.content) == (str(len(content)), b"")


def test_a_browser_gets_the_very_bytes_and_may_ask_for_parts_of_them(client):
    # All the same: it could be made smaller.
    make_wheel("one", padding=bytes(100_000))
    link = download_of(client, ready(client))
    headers = {"Accept-Encoding": "gzip, deflate, br"}

    whole = client.get(link, headers=headers)
    content = body(whole)
    part = client.get(link, headers={**headers, "Range": "bytes=300-", "If-Range": whole["ETag"]})

    assert content == work.zip_path(Bundle.objects.get().digest).read_bytes()
    assert not whole.has_header("Content-Encoding") and not whole["ETag"].startswith("W/")
    assert (part.status_code, body(part)) == (206, content[300:])


def test_the_page_tells_htmx_how_far_it_is_and_when_it_is_over(client):
    make_wheel("one")
    address = post(client)["Location"]
    bundle = Bundle.objects.get()
    bundle.claim(1, database_now())
    bundle.note("Fetching 1 of 2: <b>", database_now(), done=1 << 20, total=4 << 20)

    live = client.get(address, headers={"HX-Request": "true"})
    assert "Fetching 1 of 2: &lt;b&gt;: 1.0 MB of 4.0 MB" in markup(live)
    assert "<html" not in markup(live)
    bundle.fail("no", database_now())
    assert client.get(address, headers={"HX-Request": "true"})["HX-Refresh"] == "true"


def test_those_before_it_are_counted(client):
    post(client, "one")
    address = post(client, "two")["Location"]

    assert "1 is before it." in markup(client.get(address))


def test_a_lock_file_is_uploaded(client):
    make_wheel("one")

    address = ready(client, "", file=SimpleUploadedFile("requirements.txt", b"one==1.0\r\n"))

    assert "Ready: 1 wheel," in markup(client.get(address))


def test_why_it_cannot_be_packed_is_said_and_the_question_kept(client):
    address = ready(client, "stranger", installed="six==1.0")

    page = markup(client.get(address))

    assert "You ask for stranger: this farm does not follow stranger." in page
    assert ">stranger</textarea>" in page
    assert ">six==1.0</textarea>" in page
    assert '<option value="4" selected>' in page


@pytest.mark.parametrize(
    ("fields", "status", "says"),
    [
        ({"said": ""}, 400, "asks for nothing"),
        ({"said": "-e ."}, 400, "This cannot be in a bundle"),
        ({"said": "a\0b"}, 400, "no text"),
        ({"os": "test-arm64-cp313", "model": "zero"}, 400, "runs no arm64 system"),
        ({"file": SimpleUploadedFile("x", b"\xff")}, 400, "no text in UTF-8"),
    ],
)
def test_what_is_wrong_is_said(client, fields, status, says):
    make_target("test-arm64-cp313")

    response = post(client, **fields)

    assert response.status_code == status
    assert says in markup(response)


def test_a_client_that_asks_too_often_is_told_so(client, settings):
    settings.PIWHEELS_BUNDLES_A_DAY = 1
    post(client, "one")

    assert post(client, "two").status_code == 429
    settings.PIWHEELS_BUNDLES_A_DAY = 0
    assert post(client, "two").status_code == 403
    assert "Pack them" not in markup(client.get("/bundle/"))


def test_another_site_cannot_ask_in_a_readers_name():
    assert post(Client(enforce_csrf_checks=True)).status_code == 403
    assert Bundle.objects.count() == 0


def test_what_is_kept_no_longer_cannot_be_downloaded(client):
    make_wheel("one")
    address = ready(client)
    link = download_of(client, address)
    Bundle.objects.update(expires_at=database_now() - timedelta(seconds=1))

    assert client.get(link).status_code == 404
    assert "It is kept no longer" in markup(client.get(address))


def test_other_addresses_have_nothing(client):
    make_wheel("one")
    address = ready(client)

    assert client.get("/bundle/nobodys-key/").status_code == 404
    assert client.get(f"{address}bundle-000000000000.zip").status_code == 404
    assert client.get(f"{address}..%2f..%2fsecret-key").status_code == 404
    assert client.get("/bundle")["Location"] == "/bundle/"


def test_a_farm_without_a_target_says_so(client):
    Target.objects.all().delete()

    answers = [client.get("/bundle/"), post(client)]

    assert [answer.status_code for answer in answers] == [404, 404]
    assert all("no target yet" in markup(answer) for answer in answers)


def test_a_name_in_the_address_fills_the_form(client):
    assert ">numpy</textarea>" in markup(client.get("/bundle/?text=numpy&os=test"))


def test_hostile_text_stays_text(client):
    page = markup(post(client, "</textarea><script>alert(1)</script>"))

    assert "<script>alert" not in page
    assert "</textarea><script" not in page


def test_the_statements_are_as_many_however_much_is_in_it(client, django_assert_max_num_queries):
    for number in range(20):
        make_wheel(f"p{number}", tag="py3-none-any")
    address = ready(client, "\n".join(f"p{number}" for number in range(20)))

    with django_assert_max_num_queries(5):
        page = client.get(address)
    assert "Ready: 20 wheels" in markup(page)


def test_what_cannot_be_packed_can_be_checked_and_asked_for(client):
    page = client.get(ready(client, "nothing-here==1")).content.decode()

    form = re.search(r'<form method="post" action="(/check/)">(.*?)</form>', page, re.DOTALL)
    assert "This cannot be packed" in page and form
    fields = dict(re.findall(r'name="(\w+)" value="([^"]*)"', form[2]))
    assert fields == {"text": "nothing-here==1", "os": "test-armhf-cp313", "model": "4"}
    assert "can be asked for" in markup(client.post(form[1], fields))
