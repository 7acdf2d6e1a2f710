import subprocess
import sys

import pytest

from monitor.settings import BadSettings, read

HTTPS = "https://farm.test/"


def test_the_address_and_the_token_come_from_arguments_or_the_environment(tmp_path):
    secret = tmp_path / "token"
    secret.write_text("piwheels_op_abc\n")

    by_file = read([HTTPS, "--token-file", str(secret)], {"PIWHEELS_TOKEN": "other"})
    by_environment = read([], {"PIWHEELS_FARM": HTTPS, "PIWHEELS_TOKEN": "piwheels_op_xyz"})

    assert (by_file.address, by_file.token, by_file.every_s) == ("https://farm.test", "piwheels_op_abc", 5.0)
    assert by_environment.token == "piwheels_op_xyz"
    assert "abc" not in repr(by_file)


@pytest.mark.parametrize("address", ["http://127.0.0.1:8000/", "http://localhost/", "http://[::1]:80/"])
def test_a_token_may_go_to_this_machine_in_the_open(address):
    assert read([address], {"PIWHEELS_TOKEN": "x"}).token == "x"


@pytest.mark.parametrize(
    ("arguments", "environ", "said"),
    [
        ([], {}, "Give the address"),
        (["farm.test"], {}, "Give the address"),
        (["ftp://farm.test"], {}, "Give the address"),
        (["https://ann:secret@farm.test"], {}, "Give the address"),
        (["https://farm.test:99999"], {}, "is no address"),
        (["http://farm.test"], {"PIWHEELS_TOKEN": "x"}, "in the open"),
        (["http://127.0.0.1.farm.test"], {"PIWHEELS_TOKEN": "x"}, "in the open"),
        ([HTTPS, "--token-file", "/nowhere"], {}, "cannot be read"),
        ([HTTPS, "--token-file", "/dev/null"], {}, "is empty"),
        ([HTTPS], {"PIWHEELS_TOKEN": "a b"}, "no token"),
        ([HTTPS], {"PIWHEELS_TOKEN": "a\r\nX: y"}, "no token"),
        ([HTTPS, "--every", "0"], {}, "--every"),
        ([HTTPS, "--every", "nan"], {}, "--every"),
    ],
)
def test_what_is_wrong_is_said(arguments, environ, said):
    with pytest.raises(BadSettings, match=said):
        read(arguments, environ)


def test_the_program_ends_with_2_and_its_help_is_a_manual():
    def run(*words):
        return subprocess.run(
            [sys.executable, "-m", "monitor", *words], capture_output=True, text=True, check=False
        )

    wrong, told = run("farm.test"), run("--help")

    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert "Give the address" in wrong.stderr
    assert told.returncode == 0
    for part in ("token:", "keys:", "environment:", "examples:", "exit status:"):
        assert part in told.stdout
