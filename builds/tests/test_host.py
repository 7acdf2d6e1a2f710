import re

import pytest

from builds.host import host_target
from builds.models import Target

pytestmark = pytest.mark.django_db


def test_this_machine_says_which_c_library_it_has():
    target = host_target()

    assert re.fullmatch(r"2\.\d\d", target.glibc)
    assert re.fullmatch(r"3\.4\.\d+|", target.glibcxx)
    target.full_clean()


def test_a_machine_that_was_upgraded_says_so():
    key = host_target().key
    Target.objects.update(glibc="2.1", glibcxx="")

    target = host_target()

    assert target.key == key
    assert Target.objects.get(pk=target.pk).glibc == target.glibc != "2.1"
