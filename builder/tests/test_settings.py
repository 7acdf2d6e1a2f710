import os
import subprocess
import sys
from dataclasses import replace

import pytest

from builder.place import workshop
from builder.settings import BadSettings, Settings, read

WHOLE = {
    "PIWHEELS_SERVER": "https://wheels.example.org",
    "PIWHEELS_BUILDER": "pi-07",
    "PIWHEELS_BUILDER_TOKEN": "secret",
    "PIWHEELS_ORDERS_URL": "redis+socket:///run/redis.sock",
}


def test_an_address_ends_in_a_slash():
    assert read(WHOLE).server == "https://wheels.example.org/"


def test_indexes_are_pips_own_unless_given():
    assert read(WHOLE).build_index == ""
    assert read({**WHOLE, "PIWHEELS_BUILD_INDEX": "http://127.0.0.1:3141/"}).build_index.endswith(":3141/")


def test_the_sandbox_is_the_best_unless_less_is_asked_for():
    assert read(WHOLE).sandbox_at_most == "full"
    assert read({**WHOLE, "PIWHEELS_SANDBOX_AT_MOST": "box"}).sandbox_at_most == "box"


def test_the_disk_that_a_build_may_fill_is_a_number():
    assert read(WHOLE).build_disk_bytes == 16 << 30
    assert read({**WHOLE, "PIWHEELS_BUILD_DISK_BYTES": "1000000"}).build_disk_bytes == 1_000_000
    with pytest.raises(BadSettings, match="PIWHEELS_BUILD_DISK_BYTES must be a number of bytes"):
        read({**WHOLE, "PIWHEELS_BUILD_DISK_BYTES": "16G"})


@pytest.mark.parametrize("name", WHOLE)
def test_a_missing_setting_is_named(name):
    with pytest.raises(BadSettings, match=f"{name} is not set"):
        read({key: value for key, value in WHOLE.items() if key != name})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PIWHEELS_SERVER", "wheels.example.org"),
        ("PIWHEELS_SERVER", "ftp://wheels.example.org"),
        ("PIWHEELS_BUILDER", "Pi 7"),
        ("PIWHEELS_BUILDER", "../pi-07"),
        ("PIWHEELS_SANDBOX_AT_MOST", "none"),
    ],
)
def test_a_setting_that_makes_no_sense_is_named(name, value):
    with pytest.raises(BadSettings, match=name):
        read({**WHOLE, name: value})


def test_a_token_may_come_from_a_file(tmp_path):
    file = tmp_path / "token"
    file.write_text("from a file\n")

    settings = read({**WHOLE, "PIWHEELS_BUILDER_TOKEN": "", "PIWHEELS_BUILDER_TOKEN_FILE": str(file)})

    assert settings.token == "from a file"


@pytest.mark.parametrize("content", [None, ""])
def test_a_token_file_that_has_none_is_named(tmp_path, content):
    file = tmp_path / "token"
    if content is not None:
        file.write_text(content)

    with pytest.raises(BadSettings, match="PIWHEELS_BUILDER_TOKEN_FILE"):
        read({**WHOLE, "PIWHEELS_BUILDER_TOKEN": "", "PIWHEELS_BUILDER_TOKEN_FILE": str(file)})


def test_secrets_are_not_shown():
    shown = repr(read({**WHOLE, "PIWHEELS_ORDERS_URL": "rediss://b-pi-07:password@hub/0"}))

    assert "secret" not in shown
    assert "password" not in shown


def test_the_command_says_what_is_missing_and_exits_with_2():
    environment = {"PATH": os.environ["PATH"], **WHOLE, "PIWHEELS_BUILDER": ""}

    ended = subprocess.run(
        [sys.executable, "-m", "builder"], env=environment, capture_output=True, text=True, check=False
    )

    assert ended.returncode == 2
    assert ended.stderr == "PIWHEELS_BUILDER is not set: it must be this builder's name on the server.\n"


def test_two_builders_may_share_a_folder(tmp_path):
    first = Settings(server="", builder="pi-07", token="", orders_url="", work=tmp_path)

    assert workshop(first) != workshop(replace(first, builder="pi-08"))


def test_a_workshop_that_somebody_else_prepared_is_refused(tmp_path):
    (tmp_path / "pi-07").symlink_to(tmp_path)

    with pytest.raises(BadSettings, match="pi-07 is not this user's own folder"):
        workshop(Settings(server="", builder="pi-07", token="", orders_url="", work=tmp_path))
