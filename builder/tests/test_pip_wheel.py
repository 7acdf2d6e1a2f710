import sysconfig
from pathlib import Path

from builder.pip_wheel import command, environment
from builder.place import Place
from builder.settings import Settings
from builder.tests.server import make_order

PLACE = Place(Path("/builds/1-1"))


def settings(**fields) -> Settings:
    return Settings(server="", builder="pi-07", token="secret", orders_url="", work=Path("/work"), **fields)


def test_a_build_knows_nothing_of_the_builder():
    ours = {"PIWHEELS_BUILDER_TOKEN": "secret", "PIP_INDEX_URL": "x", "PATH": "/root/bin", "LD_PRELOAD": "y"}

    told = environment(make_order(), PLACE, ours)

    assert not {"secret", "x", "y", "/root/bin"} & set(told.values())
    assert told["HOME"] == "/builds/1-1/home"


def test_certificates_are_passed_on():
    told = environment(make_order(), PLACE, {"SSL_CERT_FILE": "/etc/ca.pem", "SSL_CERT_DIR": ""})

    assert told["SSL_CERT_FILE"] == "/etc/ca.pem"
    assert "SSL_CERT_DIR" not in told


def test_the_time_of_upload_makes_builds_repeatable():
    assert environment(make_order(), PLACE, {})["SOURCE_DATE_EPOCH"] == "1700000000"
    assert "SOURCE_DATE_EPOCH" not in environment(make_order(uploaded_at=None), PLACE, {})
    assert "SOURCE_DATE_EPOCH" not in environment(make_order(uploaded_at=315_532_799), PLACE, {})


def test_the_platform_is_set_only_when_it_is_another():
    own = sysconfig.get_platform()

    assert environment(make_order(), PLACE, {})["_PYTHON_HOST_PLATFORM"] == "linux-armv7l"
    assert "_PYTHON_HOST_PLATFORM" not in environment(make_order(platform=own), PLACE, {})


def test_pip_builds_the_file_that_was_checked():
    words = command(Path("/builds/1-1/in/tiny-1.0.tar.gz"), PLACE.out, settings())

    assert words[-3:] == ["--wheel-dir", "/builds/1-1/out", "/builds/1-1/in/tiny-1.0.tar.gz"]
    assert "--no-deps" in words
    assert "--index-url" not in words


def test_pip_is_told_of_the_farms_indexes():
    chosen = settings(build_index="http://127.0.0.1:3141/", extra_build_index="http://127.0.0.1:3142/")

    words = command(Path("/s"), PLACE.out, chosen)

    assert words[words.index("--index-url") + 1] == "http://127.0.0.1:3141/"
    assert words[words.index("--extra-index-url") + 1] == "http://127.0.0.1:3142/"
