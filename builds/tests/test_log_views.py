import gzip
import os
import re
import time

import pytest

from builds.files import logs
from builds.files.stored import log_name
from builds.models import Build
from builds.tests.rows import NOON, make_build, make_builder, make_running_build, make_target, make_version

pytestmark = pytest.mark.django_db


def make_ended(
    content, *, state="succeeded", number="1.0", key="trixie-armhf-cp313", name="pi-07", **outcome
):
    """A build that ended with that log."""
    builder = make_builder(name, make_target(key))
    build, _ = make_running_build(builder, version=make_version(number))
    logs.append(build.pk, 0, content)
    build.close(state, "It ended.", NOON, 1.0, **outcome)
    logs.keep(build.pk)
    return build


def whole(response):
    return b"".join(response.streaming_content)


def poll(client, build, page):
    """What a page's browser asks next, and the answer."""
    (path,) = re.findall(r'hx-get="([^"]+)"', page)
    path = path.replace("&amp;", "&")
    assert path.startswith(f"/builds/{build.pk}/live?")
    return client.get(path)


def test_a_page_that_is_open_follows_the_log_as_it_grows(client, django_assert_num_queries):
    build, _ = make_running_build()
    logs.append(build.pk, 0, b"one\ntwo\nthr")
    page = client.get(build.get_absolute_url()).content.decode()
    assert 'id="L2"' in page
    assert "thr" in page

    with django_assert_num_queries(1):
        assert poll(client, build, page).status_code == 204

    logs.append(build.pk, 11, b"ee\nfour\n")
    answer = poll(client, build, page)
    come = answer.content.decode()
    assert answer["Cache-Control"] == "no-store"
    assert re.findall(r'id="L(\d+)"', come) == ["3", "4"]
    assert "three" in come
    assert "two" not in come

    with django_assert_num_queries(1):
        assert poll(client, build, come).status_code == 204


def test_a_log_is_watched_while_a_page_of_it_asks(client):
    build, _ = make_running_build()
    logs.append(build.pk, 0, b"one\n")
    page = client.get(build.get_absolute_url()).content.decode()
    path = logs._growing(build.pk)
    os.utime(path, (time.time() - 60, path.stat().st_mtime))
    assert not logs.is_watched(build.pk)

    poll(client, build, page)

    assert logs.is_watched(build.pk)
    assert not logs.is_watched(build.pk + 1)


def test_a_page_loads_itself_anew_when_the_build_moves_on(client):
    build, _ = make_running_build()
    logs.append(build.pk, 0, b"one\n")
    page = client.get(build.get_absolute_url()).content.decode()

    build.close(Build.State.FAILED, "no compiler", NOON)
    logs.keep(build.pk)

    assert poll(client, build, page)["HX-Refresh"] == "true"
    assert "hx-get" not in client.get(build.get_absolute_url()).content.decode()


def test_the_page_of_a_waiting_build_notices_that_it_has_begun(client):
    builder = make_builder()
    build = make_build(target=builder.target)
    page = client.get(build.get_absolute_url()).content.decode()
    assert poll(client, build, page).status_code == 204

    build.assign(builder, NOON)

    assert poll(client, build, page)["HX-Refresh"] == "true"


def test_a_page_never_holds_more_than_some_hundred_lines(client):
    build, _ = make_running_build()
    logs.append(build.pk, 0, b"".join(b"line %d\n" % number for number in range(1, 2001)))
    page = client.get(build.get_absolute_url()).content.decode()
    assert len(re.findall(r'id="L\d+"', page)) <= 300
    assert 'id="L2000"' in page

    held, size = len(re.findall(r'id="L\d+"', page)), logs.growing_size(build.pk)
    for _ in range(10):
        logs.append(build.pk, size, b"more\n" * 200)
        size = logs.growing_size(build.pk)
        answer = poll(client, build, page)
        page = answer.content.decode()
        come = len(re.findall(r'id="L\d+"', page))
        if "HX-Retarget" in answer:
            assert (answer["HX-Retarget"], answer["HX-Reswap"]) == ("#live", "innerHTML")
            held = 0
        held += come
        assert held <= 900

    assert 'id="L4000"' in page


@pytest.mark.parametrize("content", [b"x" * (5 << 20), b"\n" * (5 << 20), b"<b>\x1b[31m\x00\xff" * 500_000])
def test_a_hostile_log_that_grows_costs_little(client, content):
    build, _ = make_running_build()
    logs.append(build.pk, 0, content)
    began = time.process_time()

    answer = client.get(f"/builds/{build.pk}/live?state=building&offset=0&line=1&seen=0&held=0")

    assert time.process_time() - began < 1
    assert len(answer.content) < 100_000
    assert b"<b>" not in answer.content


@pytest.mark.parametrize("numbers", ["offset=-1", "offset=99999999999", "seen=x&line=%00", "line=\u0663", ""])
def test_what_is_asked_for_need_not_make_sense(client, numbers):
    build, _ = make_running_build()
    logs.append(build.pk, 0, b"one\n")

    assert client.get(f"/builds/{build.pk}/live?state=building&{numbers}").status_code in (200, 204)
    assert client.get(f"/builds/{build.pk}/log?{numbers}").status_code in (200, 204)
    assert client.get(f"/builds/99999/live?{numbers}").status_code == 404


def test_a_program_reads_a_log_as_it_grows_in_whole_lines(client):
    build, _ = make_running_build()
    logs.append(build.pk, 0, "one\n\x1b[31mt\u00fc".encode())
    path = f"/builds/{build.pk}/log?offset="

    first = client.get(path + "0")
    nothing = client.get(path + first["X-Log-Offset"])
    logs.append(build.pk, 12, b"r\nend")
    second = client.get(path + first["X-Log-Offset"])
    build.close(Build.State.SUCCEEDED, "", NOON)
    logs.keep(build.pk)
    last = client.get(path + second["X-Log-Offset"])

    assert (first.content, first["X-Log-Offset"], first["X-Build-State"]) == (b"one\n", "4", "building")
    assert nothing.status_code == 204
    assert nothing["X-Log-Offset"] == "4"
    assert second.content.decode() == "t\u00fcr\n"
    assert (last.content, last["X-Build-State"]) == (b"end", "succeeded")
    assert last["Access-Control-Allow-Origin"] == "*"


def test_pieces_of_a_log_are_the_whole_of_it(client):
    build = make_ended(b"".join(b"line %d\n" % number for number in range(100_000)) + b"x" * 600_000)
    text, offset, pieces = b"", "0", 0
    while (piece := client.get(f"/builds/{build.pk}/log?offset={offset}")).status_code == 200:
        text, offset, pieces = text + piece.content, piece["X-Log-Offset"], pieces + 1

    assert text == whole(client.get(f"/builds/{build.pk}/log"))
    assert pieces > 4


def test_a_log_has_the_address_that_it_has_on_piwheels_org(client):
    build = make_ended("hello & gr\u00fc\u00df\n".encode())
    path = f"/{log_name(build.pk)}"

    file = client.get(path)
    packed = client.get(path.removesuffix(".gz"), headers={"Accept-Encoding": "br, gzip"})
    plain = client.get(path.removesuffix(".gz"))

    assert re.fullmatch(r"/logs/\d{4}/\d{4}/\d{4}\.txt\.gz", path)
    assert int("".join(re.findall(r"\d", path))) == build.pk
    assert gzip.decompress(file.content).decode() == "hello & gr\u00fc\u00df\n"
    assert file["Content-Type"] == "application/gzip"
    assert "Content-Encoding" not in file
    assert packed.content == file.content
    assert packed["Content-Encoding"] == "gzip"
    assert plain.content == gzip.decompress(file.content)
    for text in (packed, plain):
        assert text["Content-Type"] == "text/plain; charset=utf-8"
        assert text["X-Content-Type-Options"] == "nosniff"
        assert "Accept-Encoding" in text["Vary"]
        assert "immutable" in text["Cache-Control"]


def test_a_log_that_goes_on_is_not_kept_by_caches(client):
    build, _ = make_running_build()
    logs.append(build.pk, 0, b"one\n")

    answer = client.get(f"/{log_name(build.pk)}")

    assert gzip.decompress(answer.content) == b"one\n"
    assert answer["Cache-Control"] == "no-store"


@pytest.mark.parametrize("refusal", ["identity", "gzip;q=0", "gzip;q=0.0", "br", ""])
def test_who_does_not_want_it_compressed_gets_it_plain(client, refusal):
    build = make_ended(b"hello\n")

    answer = client.get(f"/{log_name(build.pk)}".removesuffix(".gz"), headers={"Accept-Encoding": refusal})

    assert answer.content == b"hello\n"


@pytest.mark.parametrize(
    "path", ["/logs/0/0/1.txt", "/logs/0000/00000001.txt", "/logs/0000/0000/0001.txt.bz2"]
)
def test_other_spellings_of_it_are_nobodys(client, path):
    make_ended(b"hello\n")

    assert client.get(path).status_code == 404
    assert client.get("/logs/9999/9999/9999.txt").status_code == 404


def test_a_file_of_a_log_acts_on_no_terminal(client):
    build = make_ended(b"\x1b]0;title\x07\x1b[2Jred\x00\xff\n")

    text = gzip.decompress(client.get(f"/{log_name(build.pk)}").content).decode()

    assert text == "0;title\ufffdred\ufffd\ufffd\n"


def test_two_logs_are_compared_with_words_and_links_to_their_lines(client, django_assert_num_queries):
    common = b"".join(b"step %d of 9\n" % number for number in range(9))
    good = make_ended(common + b"took 3.2 s\nbuilt demo-1.0\n")
    bad = make_ended(
        common + b"took 9 s\nffi.h: No such file\n",
        state="failed", number="2.0", key="bookworm-armhf-cp311", name="pi-03",
    )  # fmt: skip

    with django_assert_num_queries(2):
        page = client.get(f"/builds/{good.pk}...{bad.pk}/diff").content.decode()

    assert "They differ in 1 place." in page
    assert f"Only in build {good.pk}" in page
    assert f"Only in build {bad.pk}" in page
    assert f'href="/builds/{good.pk}/?from=11#L11"' in page
    assert f'href="/builds/{bad.pk}/?from=11#L11"' in page
    assert "took 9 s" in page
    assert "took 3.2 s" not in page


def test_logs_that_say_the_same_are_said_to(client):
    build = make_ended(b"built in 3 s\n")
    other = make_ended(b"built in 4 s\n", number="2.0", name="pi-08")

    assert "They say the same." in client.get(f"/builds/{build.pk}...{other.pk}/diff").content.decode()


def test_many_differences_come_in_pages(client):
    one = make_ended(b"".join(b"same %d\n" % n + b"a\n" * 3 + b"-%d\n" % n * 4 for n in range(400)))
    other = make_ended(
        b"".join(b"same %d\n" % n + b"b\n" * 3 + b"-%d\n" % n * 4 for n in range(400)),
        number="2",
        name="pi-08",
    )
    path, pages = f"/builds/{one.pk}...{other.pk}/diff", 0
    seen: list[str] = []
    more = "?after=0"
    while more:
        page = client.get(path + more).content.decode()
        assert len(gzip.compress(page.encode())) < 30_000
        seen += re.findall(r'aria-label="Difference (\d+)"', page)
        found = re.search(r'href="(\?after=\d+)" rel="next"', page)
        more, pages = found[1] if found else "", pages + 1

    assert seen == [str(number) for number in range(1, len(seen) + 1)]
    assert pages > 2


@pytest.mark.parametrize(
    "content",
    [
        b"x" * (10 << 20),
        b"\n" * (10 << 20),
        b"a b 9 s /tmp/x\n" * 600_000,
        b"<script>alert(1)</script>\n" * 300_000,
    ],
    ids=["one line", "empty lines", "lines", "scripts"],
)
def test_huge_logs_are_compared_by_their_ends_in_a_second(client, content):
    one = make_ended(content)
    other = make_ended(b"first\n" + content[::-1], number="2.0", name="pi-08")
    began = time.process_time()

    page = client.get(f"/builds/{one.pk}...{other.pk}/diff")

    assert time.process_time() - began < 1.5
    assert len(page.content) < 200_000
    assert b"<script" not in page.content


@pytest.mark.parametrize("path", ["/builds/1...99999/diff", "/builds/1...99999999999999999999999/diff"])
def test_a_build_that_is_not_there_cannot_be_compared(client, path):
    make_ended(b"hello\n")

    assert client.get(path).status_code == 404


@pytest.mark.parametrize(
    "path",
    [
        *("/builds/{0}/log", "/builds/{0}...{1}/diff", "/{log}"),
        *("/builds/{0}/", "/builds/{0}/?find=one", "/builds/{0}/?from=1"),
    ],
)
def test_who_asks_for_many_whole_logs_has_to_wait(client, settings, path):
    settings.PIWHEELS_API_A_MINUTE = 4
    one, other = make_ended(b"one\n"), make_ended(b"two\n", number="2.0", name="pi-08")
    address = path.format(one.pk, other.pk, log=log_name(one.pk))

    statuses = [client.get(address).status_code for _ in range(3)]

    assert statuses in ([200, 200, 429], [200, 429, 429])
    assert client.get(f"{address}?offset=0").status_code == 429


def test_who_follows_a_log_that_grows_asks_as_often_as_he_likes(client, settings):
    settings.PIWHEELS_API_A_MINUTE = 4
    build, _ = make_running_build(make_builder())
    logs.append(build.pk, 0, b"one\n")

    for page in ("log?offset=0", ""):
        assert {client.get(f"/builds/{build.pk}/{page}").status_code for _ in range(9)} == {200}
    searched = [client.get(f"/builds/{build.pk}/?find=one").status_code for _ in range(3)]
    assert searched == [200, 200, 429]
