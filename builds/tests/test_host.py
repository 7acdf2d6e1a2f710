import json
import re
import subprocess
import sys
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command

from builds.builders import this_machine
from builds.builders.host import host_target
from builds.builders.this_machine import fields
from builds.models import Target

pytestmark = pytest.mark.django_db


def test_this_machine_says_which_c_library_it_has():
    target = host_target()

    assert re.fullmatch(r"2\.\d\d", target.glibc)
    assert re.fullmatch(r"3\.4\.\d+|", target.glibcxx)
    target.full_clean()


def test_a_dry_run_prints_what_to_type_in_elsewhere():
    out = StringIO()

    call_command("add_host_target", "--dry-run", stdout=out)

    assert not Target.objects.filter(is_active=True).exists()
    told = json.loads(out.getvalue().partition("\n")[2])
    Target(**told).full_clean()
    added = host_target()
    assert {name: getattr(added, name) for name in told} == told


def test_a_machine_with_a_checkout_and_nothing_else_tells_the_same():
    # Without site-packages, as on a fresh card.
    words = [sys.executable, "-S", "-m", "builds.builders.this_machine"]

    told = subprocess.run(
        words, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True
    ).stdout

    assert json.loads(told) == fields()


def test_a_32_bit_system_on_a_64_bit_kernel_is_armhf(monkeypatch):
    monkeypatch.setattr(this_machine, "this_platform", lambda: "linux-armv7l")

    told = fields()

    assert told["architecture"] == "armhf"
    assert told["platform_tags"] == ["linux_armv7l"]


@pytest.mark.parametrize(
    ("platform", "architecture"),
    [("linux-aarch64", "arm64"), ("linux-riscv64", "riscv64"), ("linux-ppc64le", "ppc64el")],
)
def test_an_architecture_has_debians_name_by_which_its_machine_code_is_known(
    monkeypatch, platform, architecture
):
    monkeypatch.setattr(this_machine, "this_platform", lambda: platform)

    assert fields()["architecture"] == architecture


def test_a_machine_that_was_upgraded_says_so():
    key = host_target().key
    Target.objects.update(glibc="2.1", glibcxx="")

    target = host_target()

    assert target.key == key
    assert Target.objects.get(pk=target.pk).glibc == target.glibc != "2.1"
