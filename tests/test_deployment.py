"""The site as it is deployed: what Django's own check says, its headers, and where its secrets are."""

import os
import re
import runpy
import subprocess

import pytest
from django.test import Client

from deploy.farm import MANAGE, ROOT

HTTPS = {
    "PIWHEELS_HTTPS": "yes",
    "PIWHEELS_BEHIND_PROXY": "yes",
    "ALLOWED_HOSTS": "wheels.example.org",
    "CSRF_TRUSTED_ORIGINS": "https://wheels.example.org",
}
OF_HTTPS = ("ALLOWED_HOSTS", "SECURE_", "SESSION_", "CSRF_")


def check(folder, **own):
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG")}
    return subprocess.run(
        [*MANAGE, "check", "--deploy", "--fail-level", "WARNING"],
        env={**kept, "PIWHEELS_VAR": str(folder), **own},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def read(monkeypatch, folder, **own):
    """Return the settings as a site reads them that has these in its environment."""
    for name, value in {"PIWHEELS_VAR": str(folder), **own}.items():
        monkeypatch.setenv(name, value)
    return runpy.run_path(str(ROOT / "piwheels_site" / "settings.py"))


@pytest.fixture
def asked(monkeypatch, settings, tmp_path):
    """Return who asks a site that is deployed over HTTPS, in the way that nginx passes on."""

    def ask(path, way, **own):
        for name, value in read(monkeypatch, tmp_path, **HTTPS, **own).items():
            if name.startswith(OF_HTTPS):
                setattr(settings, name, value)
        headers = {"host": "wheels.example.org", "x-forwarded-proto": way}
        return Client(headers=headers).get(path)

    return ask


def written(*options):
    """Return the settings that deploy/server-setup would write, but for where things are."""
    words = [ROOT / "deploy" / "server-setup", "wheels.example.org", "--dry-run", *options]
    told = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    lines = told.partition("server.env (root")[2].partition("\n== ")[0]
    found = dict(re.findall(r"^ +([A-Z_]+)='(.*)'$", lines, re.M))
    return {name: value for name, value in found.items() if name not in ("PIWHEELS_VAR", "DATABASE_URL")}


@pytest.mark.parametrize("between", [" ", ",", ", "])
def test_addresses_of_mails_may_stand_between_spaces_or_commas(monkeypatch, tmp_path, between):
    told = between.join(("ann@example.org", "ben@example.org"))

    settings = read(monkeypatch, tmp_path, PIWHEELS_ALERT_MAIL=told)

    assert settings["PIWHEELS_ALERT_MAIL"] == ["ann@example.org", "ben@example.org"]


@pytest.mark.parametrize("options", [["--self-signed"], ["--behind-proxy", "[::1]:8080", "--hsts", "9999"]])
def test_T54_the_check_of_deployment_finds_nothing(tmp_path, options):
    settings = written(*options)

    done = check(tmp_path, **settings)

    assert settings["ALLOWED_HOSTS"].startswith("wheels.example.org,")

    assert done.returncode == 0, done.stderr
    assert "no issues" in done.stdout


def test_T54_without_https_the_check_says_what_is_missing(tmp_path):
    done = check(tmp_path)

    assert done.returncode == 1
    assert "SESSION_COOKIE_SECURE" in done.stderr


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/", "/faq.html", "/admin/login/", "/project/nothing/"])
def test_T54_over_https_every_page_has_its_headers(asked, path):
    headers = asked(path, "https", PIWHEELS_HSTS_S="3600").headers

    assert headers["Strict-Transport-Security"] == "max-age=3600"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "same-origin"
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert "default-src 'none'" in headers["Content-Security-Policy"]


@pytest.mark.django_db
def test_T54_cookies_go_over_https_and_to_this_host_alone(asked, settings):
    cookies = asked("/admin/login/", "https").cookies

    assert {name: cookie["secure"] for name, cookie in cookies.items()} == {"__Host-csrftoken": True}
    assert settings.SESSION_COOKIE_NAME == "__Host-sessionid"
    assert settings.SESSION_COOKIE_SECURE
    assert settings.SESSION_COOKIE_HTTPONLY


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/", "/admin/login/", "/simple/demo/", "/static/piwheels.css"])
def test_T54_without_tls_there_is_nothing_but_the_way_to_it(asked, path):
    answer = asked(path, "http")

    assert (answer.status_code, answer["Location"]) == (301, f"https://wheels.example.org{path}")
    assert not answer.cookies


@pytest.mark.django_db
def test_who_watches_the_farm_asks_on_the_machine_itself(asked):
    assert asked("/healthz", "http").status_code in (200, 503)


@pytest.mark.django_db
def test_no_browser_is_bound_to_https_unless_the_owner_says_so(asked):
    assert "Strict-Transport-Security" not in asked("/faq.html", "https").headers


def test_secrets_may_be_in_files(monkeypatch, tmp_path):
    secrets = {
        "SECRET_KEY": "k" * 50,
        "DATABASE_URL": "postgresql://farm:hush@db/farm",
        "REDIS_URL": "redis://server:hush@10.8.0.1/0",
    }
    for name, value in secrets.items():
        (tmp_path / name).write_text(f"{value}\n")

    made = read(monkeypatch, tmp_path, **{f"{name}_FILE": str(tmp_path / name) for name in secrets})

    assert made["SECRET_KEY"] == secrets["SECRET_KEY"]
    assert made["DATABASES"]["default"]["PASSWORD"] == "hush"
    assert made["REDIS_URL"] == secrets["REDIS_URL"]


def test_a_file_of_a_secret_that_is_not_there_is_said(monkeypatch, tmp_path):
    with pytest.raises(OSError, match="nothing"):
        read(monkeypatch, tmp_path, SECRET_KEY_FILE=str(tmp_path / "nothing"))
