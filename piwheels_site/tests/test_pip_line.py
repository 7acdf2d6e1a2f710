import pytest

from piwheels_site import pip_line


def test_with_tls_pip_has_nothing_to_trust():
    line = pip_line.install("https://pi.example/simple/", "demo==1.0")

    assert line == "pip install --extra-index-url https://pi.example/simple/ demo==1.0"


def test_without_it_pip_is_told_that_this_is_meant():
    line = pip_line.install("http://pi.example:8000/simple/", "demo")

    assert (
        line == "pip install --extra-index-url http://pi.example:8000/simple/ --trusted-host pi.example demo"
    )


@pytest.mark.parametrize("host", ["localhost:8000", "127.0.0.1:8000", "[::1]"])
def test_its_own_machine_is_trusted_by_pip_anyway(host):
    assert pip_line.untrusted(f"http://{host}/simple/") == ""


@pytest.mark.parametrize(
    ("version", "wanted"), [("", "demo"), ("2.1", "demo==2.1"), ("1!2.0", "'demo==1!2.0'")]
)
def test_a_shell_reads_nothing_into_a_version(version, wanted):
    assert pip_line.wanted("demo", version) == wanted
