import html5lib
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import CommandError, call_command
from django.test import Client

from builds.models import Dependency, Target
from builds.tests.rows import NOON, make_build, make_builder, make_running_build, make_target, make_version
from builds.tests.rows import make_wheel as make_row
from packages.models import Dirty, Package, UpstreamFile
from simple.models import Bundle, Request
from simple.requirements import MOST_BYTES
from tests.seen import markup, text

pytestmark = pytest.mark.django_db

FAILED = {"state": "failed", "failure": "missing-header", "finished_at": NOON}


def check(client, said, **fields):
    return markup(client.post("/check/", {"os": "trixie", "text": said, **fields}))


@pytest.fixture
def trixie():
    return make_target()


def make_wheel(name, number="1.0", tag="cp313-cp313-linux_armv6l.linux_armv7l", apt=(), target=None):
    builder = make_builder(f"pi-{name}", target=target)
    build, _ = make_running_build(builder=builder, version=make_version(number, name))
    wheel = make_row(build=build, filename=f"{name}-{number}-{tag}.whl")
    build.close("succeeded", "", NOON, 90)
    for package in apt:
        Dependency.objects.create(wheel=wheel, tool="apt", name=package, requirement=package)
    return wheel


def make_upstream(name, number="1.0", tag="py3-none-any"):
    return UpstreamFile.objects.create(
        version=make_version(number, name),
        kind="wheel",
        filename=f"{name}-{number}-{tag}.whl",
        url=f"http://upstream.test/{name}.whl",
        sha256="b" * 64,
        size=1000,
    )


def test_all_is_well_and_one_line_has_all_apt_packages(client, trixie):
    make_wheel("one", apt=["libpq5", "libopenblas0"])
    make_wheel("two", apt=["libopenblas0"])
    make_upstream("three")

    page = check(client, "one\ntwo\nthree")

    assert "Yes: all 3 packages install without a compiler" in page
    assert "sudo apt install libopenblas0 libpq5<" in page
    assert "Compiling took this farm's builders 3 min 0 s" in page


def test_each_trouble_has_its_own_table(client, trixie):
    make_wheel("good")
    make_version("1.0", "source")
    failed = make_version("1.0", "failed")
    make_build(failed, trixie, **FAILED)
    make_version("1.0", "empty", source=False)
    make_wheel("locked")

    page = check(client, f"good\nsource\nfailed\nempty\nstranger\nlocked==1.0 --hash=sha256:{'c' * 64}")

    assert "1 of 6 packages install without trouble" in page
    for said in (
        "1 takes a wheel of this farm",
        "1 takes the source, which the Pi compiles",
        "1 takes the source, and it failed to build here",
        "1 takes no file that fits",
        "1 takes not followed by this farm",
        "1 takes a file whose hash is not in the lock file",
    ):
        assert said in page, said


def test_the_file_whose_hash_is_locked_is_taken_before_a_better_one(client, trixie):
    wheel = make_wheel("demo")
    theirs = make_upstream("demo", "2.0")

    page = check(client, f"demo==1.0 --hash=sha256:{wheel.sha256}")
    assert "Yes: all 1 packages" in page
    assert wheel.filename in page
    assert "1 takes a wheel that runs anywhere" in check(client, f"demo --hash=sha256:{theirs.sha256}")


@pytest.mark.parametrize("pin", ["1", "1.0", "1.0.0"])
def test_equal_versions_are_the_same_one(client, trixie, pin):
    make_upstream("demo", "1.0")

    assert "Yes: all 1 packages" in check(client, f"demo=={pin}")


def test_a_wheel_of_another_system_may_not_run(client, trixie):
    make_wheel("demo", tag="cp39-abi3-linux_armv6l.linux_armv7l", apt=["libpq5t64"], target=trixie)
    bookworm = Target.objects.get(key="bookworm-armhf-cp311")
    bookworm.activate()
    make_wheel("good", tag="cp311-cp311-linux_armv6l.linux_armv7l", apt=["libpq5"], target=bookworm)

    page = check(client, "demo\ngood", os=bookworm.key)

    assert "built on another system" in page
    # With a name that bookworm does not know in the line, apt would install nothing at all.
    assert "sudo apt install libpq5<" in page


def test_markers_are_those_of_the_pi(client, trixie):
    make_upstream("one")

    page = check(client, "one; platform_machine == 'armv6l'\ntwo; sys_platform == 'win32'", model="zero")

    assert "Yes: all 1 packages" in page
    assert "Not asked for on this machine" in page


@pytest.mark.parametrize(("model", "is_asked_for"), [("", True), ("4", True), ("5", True), ("2", False)])
def test_a_32_bit_system_has_a_64_bit_kernel_where_it_can(client, trixie, model, is_asked_for):
    make_upstream("one")

    page = check(client, "one; platform_machine == 'aarch64'\none; platform_machine == 'armv7l'", model="4")
    assert "Yes: all 1 packages" in page

    page = check(client, "one; platform_machine == 'aarch64'", model=model)
    assert ("Yes: all 1 packages" in page) is is_asked_for


def test_a_file_is_uploaded(client, trixie):
    make_upstream("one")

    page = check(client, "", file=SimpleUploadedFile("requirements.txt", b"one\n"))

    assert "Yes: all 1 packages" in page


def test_a_long_lock_is_pasted(client, trixie):
    make_upstream("one")
    hashes = "".join(f" --hash=sha256:{number:064x}" for number in range(20_000))

    assert "a file whose hash is not in the lock file" in check(client, f"one==1.0{hashes}\n")


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"text": ""}, "asks for nothing"),
        ({"file": SimpleUploadedFile("x", b"\xff\xfe")}, "no text in UTF-8"),
        ({"file": SimpleUploadedFile("x", b"x" * (MOST_BYTES + 1))}, "larger than 4 MiB"),
        ({"text": "numpy", "os": "trixie-arm64-cp313", "model": "zero"}, "runs no arm64 system"),
    ],
)
def test_what_is_wrong_is_said(client, trixie, fields, says):
    Target.objects.get(key="trixie-arm64-cp313").activate()

    response = client.post("/check/", {"os": "trixie", **fields})

    assert response.status_code == 400
    assert says in markup(response)


def test_hostile_text_stays_text(client, trixie):
    page = check(client, "<script>alert(1)</script>\n</textarea><img src=x>")

    assert "<script" not in page
    assert "<img" not in page


@pytest.mark.parametrize("order", [("1.0", "2.0", "3.0"), ("3.0", "2.0", "1.0")])
def test_a_build_speaks_for_its_own_version_alone(client, trixie, order):
    """However the versions of a package were queued: a new package's are, the newest first."""
    tried = {
        "1.0": FAILED,
        "2.0": {"state": "succeeded", "finished_at": NOON},
        "3.0": {"state": "queued"},
    }
    for number in order:
        make_build(make_version(number, "demo"), trixie, **tried[number])

    assert "1 takes the source, which the Pi compiles" in check(client, "demo")
    assert "1 takes the source, which the Pi compiles" in check(client, "demo==2")
    assert "1 takes the source, and it failed to build here" in check(client, "demo==1.0")


def test_of_the_attempts_at_a_version_the_last_one_speaks(client, trixie):
    version = make_version("1.0", "demo")
    make_build(version, trixie, attempt=1, **FAILED)
    make_build(version, trixie, state="queued", attempt=2)

    assert "1 takes the source, which the Pi compiles" in check(client, "demo")


def test_where_nothing_fits_the_last_attempt_at_the_newest_that_is_asked_for_is_shown(client, trixie):
    # Both were tried before their sources were taken away.
    new = make_build(make_upstream("demo", "2.0", "cp312-cp312-win_amd64").version, trixie, **FAILED)
    old = make_build(make_upstream("demo", "1.0", "cp312-cp312-win_amd64").version, trixie, **FAILED)
    UpstreamFile.objects.filter(kind="source").delete()

    assert f"/builds/{new.pk}/" in check(client, "demo")
    assert f"/builds/{old.pk}/" in check(client, "demo<2")


def test_the_statements_are_as_many_for_25_packages_as_for_one(client, trixie, django_assert_max_num_queries):
    for number in range(25):
        make_upstream(f"p{number}")
    Package.objects.filter(name="p3").update(status="quarantined")

    with django_assert_max_num_queries(13):
        page = check(client, "\n".join(f"p{number}==1.0" for number in range(25)))
    assert "24 of 25 packages" in page


def test_all_packages_of_a_long_file_are_looked_at(client, trixie):
    for number in range(60):
        make_upstream(f"p{number}")

    assert "59 of 60 packages" in check(client, "stranger\n" + "\n".join(f"p{n}" for n in range(1, 60)))


def test_what_is_too_much_to_look_at_is_refused(client, trixie, monkeypatch):
    for name in ("one", "two"):
        make_upstream(name)
    # Each has a source and a wheel.
    monkeypatch.setattr("simple.check.MOST_FILES", 2)

    answer = client.post("/check/", {"os": "trixie", "text": "one\ntwo"})

    assert answer.status_code == 400
    assert "name the versions" in markup(answer)
    assert "Yes: all 1 packages" in check(client, "two")


def test_the_form_is_there_before_anything_is_asked(client):
    assert "<textarea" in markup(client.get("/check/"))


def test_a_farm_without_a_target_says_so(client):
    Target.objects.all().delete()

    answers = [client.get("/check/"), client.post("/check/", {"text": "numpy"})]

    assert [answer.status_code for answer in answers] == [404, 404]
    assert all("no target yet" in markup(answer) for answer in answers)


def run(capsys, path, *words):
    """Return what the command says, and what it fails with."""
    try:
        call_command("check_requirements", str(path), *words)
    except CommandError as error:
        return capsys.readouterr().out, str(error)
    return capsys.readouterr().out, ""


def test_the_command_says_the_same(trixie, tmp_path, capsys):
    make_wheel("one", apt=["libpq5"])
    path = tmp_path / "requirements.txt"

    path.write_text("one\n")
    said, failed = run(capsys, path, "--target", trixie.key, "--model", "zero")
    assert "sudo apt install libpq5\n1 of 1 packages install without trouble." in said
    assert failed == ""

    path.write_text("one\nstranger\n")
    said, failed = run(capsys, path, "--target", trixie.key)
    assert "stranger: not followed by this farm" in said
    assert failed == "Not all of it installs as it should."


@pytest.mark.parametrize(
    ("text", "words", "says"),
    [
        ("one", ["--target", "none"], "There is no target none; there are"),
        ("", ["--target", "trixie-armhf-cp313"], "asks for nothing"),
        (None, ["--target", "trixie-armhf-cp313"], "cannot be read"),
    ],
)
def test_the_command_says_what_is_wrong(trixie, tmp_path, capsys, text, words, says):
    path = tmp_path / "requirements.txt"
    if text is not None:
        path.write_text(text)

    assert says in run(capsys, path, *words)[1]


def form_of(page, action):
    """Return what a form of a page sends, with its names in their order."""
    root = html5lib.parse(page, namespaceHTMLElements=False)
    [form] = [form for form in root.iter("form") if form.get("action") == action]
    return [(field.get("name"), field.get("value", "")) for field in form.iter("input")]


def posted(fields):
    sent: dict[str, list[str]] = {}
    for name, value in fields:
        sent.setdefault(name, []).append(value)
    return sent


def test_a_button_asks_for_all_that_is_missing(client, trixie):
    make_wheel("good")
    make_version("1.0", "source")
    page = client.post("/check/", {"os": "trixie", "text": "good\nsource\nstranger"}).content.decode()

    sent = posted(form_of(page, "/check/request"))
    answer = client.post("/check/request", sent)

    assert sent["name"] == ["source", "stranger"]
    assert "2 can be asked for" in page
    assert "✔</span> 2 counted" in answer.content.decode()
    assert sorted(Request.objects.values_list("name", "target")) == [
        ("source", trixie.pk),
        ("stranger", trixie.pk),
    ]
    assert Dirty.objects.filter(name="stranger").exists()
    assert "2 counted before, today" in client.post("/check/request", sent).content.decode()


def test_the_button_leaves_out_what_is_never_built(client, trixie):
    make_version("1.0", "source")
    make_version("1.0", "skipped")
    page = client.post("/check/", {"os": "trixie", "text": "source\nskipped"}).content.decode()
    Package.objects.filter(name="skipped").update(skip_reason="too big")

    sent = posted(form_of(page, "/check/request"))
    late = text(client.post("/check/request", sent))
    page = client.post("/check/", {"os": "trixie", "text": "source\nskipped"}).content.decode()

    assert sent["name"] == ["source", "skipped"]
    assert "1 not built, whoever asks" in late
    assert posted(form_of(page, "/check/request"))["name"] == ["source"]


def test_the_button_has_the_limits_of_a_single_request(client, trixie, settings):
    settings.PIWHEELS_REQUESTS_A_DAY = 2
    for name in ("one", "two", "three"):
        make_version("1.0", name)
    page = markup(client.post("/check/", {"os": "trixie", "text": "one\ntwo\nthree"}))

    first = client.post("/check/request", {"name": ["one", "two", "three"]})
    second = client.post("/check/request", {"name": ["three"]})

    assert "3 can be asked for" in page and "one, two and more" in page
    assert first.status_code == 200 and "1 too many" in markup(first)
    assert second.status_code == 429
    assert Request.objects.count() == 2


def test_who_presses_the_button_often_has_to_wait(client, trixie, settings):
    settings.PIWHEELS_API_A_MINUTE = 15
    make_version("1.0", "source")

    first, second = (client.post("/check/request", {"name": "source"}) for _ in range(2))

    assert [first.status_code, second.status_code] == [200, 429]
    assert "ask again in" in markup(second)


def test_where_nobody_may_ask_there_is_no_button(client, trixie, settings):
    settings.PIWHEELS_REQUESTS_A_DAY = 0
    make_version("1.0", "source")

    assert "can be asked for" not in check(client, "source")
    assert client.post("/check/request", {"name": "source"}).status_code == 403


@pytest.mark.parametrize("fields", [{}, {"name": ["--", "%00", ""]}])
def test_who_asks_for_nothing_is_led_to_the_form(client, fields):
    assert client.post("/check/request", fields)["Location"] == "/check/"
    assert client.get("/check/request")["Location"] == "/check/"


def test_another_site_cannot_ask_in_somebodys_name(trixie):
    make_version("1.0", "source")

    answer = Client(enforce_csrf_checks=True).post("/check/request", {"name": "source"})

    assert answer.status_code == 403
    assert not Request.objects.exists()


@pytest.mark.parametrize("way", ["pasted", "uploaded"])
def test_a_button_has_what_was_checked_packed_for_the_same_pi(trixie, way):
    client = Client(enforce_csrf_checks=True)
    make_wheel("good")
    said = "# Mine\ngood==1.0\n"
    sent = {"text": said} if way == "pasted" else {"file": SimpleUploadedFile("r.txt", said.encode())}
    page = client.post("/check/", {"os": "trixie", "model": "4", **sent}).content.decode()

    answer = client.post("/bundle/", posted(form_of(page, "/bundle/")))

    bundle = Bundle.objects.get()
    assert answer["Location"] == bundle.path
    assert (bundle.wanted, bundle.target, bundle.model) == (said.strip(), trixie, "4")


def test_a_long_file_is_to_be_chosen_again_where_it_is_packed(client, trixie):
    make_wheel("good")
    page = check(client, "good\n" + "# A long story.\n" * 10_000, model="4")

    assert "choose this one there again" in page
    assert f"/bundle/?os={trixie.key}&amp;model=4" in page


def test_where_nothing_is_packed_there_is_no_button(client, trixie, settings):
    settings.PIWHEELS_BUNDLES_A_DAY = 0
    make_wheel("good")

    assert "without a network" not in check(client, "good")


def test_who_asks_for_much_has_to_wait(client, trixie, settings):
    settings.PIWHEELS_API_A_MINUTE = 15

    answers = [client.post("/check/", {"text": "numpy"}) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [200, 429]
    assert "ask again in" in answers[1].content.decode()
    assert client.get("/check/").status_code == 200
