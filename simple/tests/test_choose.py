"""What is taken by the rules; tests/test_choice.py asks real installers."""

import pytest
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from simple.choose import Installer, Machine, Offer, choose

ZERO = Machine("3.13", "cp313", "armv6l", "2.41")
FOUR = Machine("3.13", "cp313", "armv7l", "2.41")
OURS, PYPI = "/simple/", "PyPI"


def offers(*filenames, index=OURS, project="demo", **fields):
    return [Offer(filename, index, project, **fields) for filename in filenames]


def taken(found, machine=ZERO, installer=Installer.PIP, wanted=""):
    choice = choose(found, machine, installer, SpecifierSet(wanted))
    return choice.taken.offer.filename if choice.taken else None


def against(found, machine=ZERO, installer=Installer.PIP, wanted=""):
    """Return the reason against each, by its file."""
    judged = choose(found, machine, installer, SpecifierSet(wanted)).judged
    return {each.offer.filename: each.against for each in judged}


def test_the_newest_version_that_fits_is_taken():
    found = offers(
        "demo-1.0-cp313-cp313-linux_armv6l.whl",
        "demo-2.0-cp313-cp313-linux_armv6l.whl",
        "demo-3.0-cp313-cp313-linux_x86_64.whl",
    )

    assert taken(found) == "demo-2.0-cp313-cp313-linux_armv6l.whl"


def test_a_newer_source_goes_before_an_older_wheel():
    choice = choose(offers("demo-1.0-py3-none-any.whl", "demo-2.0.tar.gz"), ZERO, Installer.PIP)

    assert choice.is_source
    assert choice.judged[1].against == "2.0 is newer"


@pytest.mark.parametrize(
    ("filename", "machine", "reason"),
    [
        (
            "demo-1.0-cp312-cp312-linux_armv6l.whl",
            ZERO,
            "it is for cp312-cp312, and here is Python 3.13 (cp313)",
        ),
        ("demo-1.0-cp313-cp313-linux_armv7l.whl", ZERO, "it is for linux_armv7l, and here is armv6l"),
        ("demo-1.0-cp313-cp313-manylinux_2_17_armv7l.whl", FOUR, ""),
        (
            "demo-1.0-cp313-cp313-manylinux_2_99_armv7l.whl",
            FOUR,
            "it is for manylinux_2_99_armv7l: this machine's processor is right, but its C library is 2.41",
        ),
        ("demo-1.0-cp39-abi3-linux_armv6l.whl", ZERO, ""),
        ("demo.whl", ZERO, "its name is none that an installer reads"),
        ("demo-1.0.exe", ZERO, "its name is none that an installer reads"),
    ],
)
def test_what_does_not_fit_the_machine_says_why(filename, machine, reason):
    assert against(offers(filename), machine) == {filename: reason}


@pytest.mark.parametrize(
    ("filename", "project", "version"),
    [
        ("demo-1.0.tar.gz", "demo", "1.0"),
        ("demo-1.0.zip", "demo", "1.0"),
        ("Demo-v1.0.tar.gz", "demo", "1.0"),
        ("demo-0.5-1.tar.gz", "demo", "0.5.post1"),
        ("demo-1.0-beta1.tar.gz", "demo", "1.0b1"),
        ("foo-demo-1.0.tar.gz", "foo-demo", "1.0"),
        ("foo.demo-1.0-1.zip", "foo-demo", "1.0.post1"),
        ("demo_1.0.tar.gz", "demo", None),
        ("demo--1.0.tar.gz", "demo", None),
        ("demo-1.0-linux.tar.gz", "demo", None),
        ("demo-1.0-py2.7.tar.gz", "demo", None),
        ("other-1.0.tar.gz", "demo", None),
        ("demo-.tar.gz", "demo", None),
        ("demo.tar.gz", "demo", None),
        ("demo-1.0.tar.Z", "demo", None),
        ("demo-1.0.ZIP", "demo", None),
    ],
)
@pytest.mark.parametrize("installer", Installer)
def test_a_sources_version_is_what_comes_after_the_projects_name(installer, filename, project, version):
    [judged] = choose(offers(filename, project=project), ZERO, installer).judged

    assert judged.version == (Version(version) if version else None)
    assert judged.against == ("" if version else "its name is none that an installer reads")


@pytest.mark.parametrize("suffix", [".tar.bz2", ".tgz", ".tar.xz", ".tbz", ".txz", ".tar", ".tar.lzma"])
def test_pip_unpacks_what_uv_does_not(suffix):
    found = offers(f"demo-1.0{suffix}")

    assert taken(found) == f"demo-1.0{suffix}"
    assert against(found, installer=Installer.UV) == {
        f"demo-1.0{suffix}": "uv takes no source but .tar.gz and .zip"
    }


def test_pip_reads_what_uv_does_not():
    found = offers("foo--demo-1.0.tar.gz", project="foo-demo")

    assert taken(found) == "foo--demo-1.0.tar.gz"
    assert taken(found, installer=Installer.UV) is None


def test_a_python_that_is_not_admitted_is_the_reason():
    assert against(offers("demo-1.0-py3-none-any.whl", requires_python="<3.13")) == {
        "demo-1.0-py3-none-any.whl": "it is for Python <3.13, and here is 3.13"
    }


@pytest.mark.parametrize("bound", ["<3.13", "<=3.12", "!=3.13.*", ">=3.8,<3.13", "~=3.5,<3.9", "==3.9.*"])
def test_uv_heeds_no_upper_bound(bound):
    found = offers("demo-1.0-py3-none-any.whl", requires_python=bound)

    assert taken(found) is None
    assert taken(found, installer=Installer.UV) == "demo-1.0-py3-none-any.whl"


@pytest.mark.parametrize("bound", [">=3.14", ">3.13.99", "==3.14.*", "~=3.14", ">=3.14,<4"])
def test_both_heed_a_lower_bound(bound):
    found = offers("demo-1.0-py3-none-any.whl", requires_python=bound)

    assert taken(found) is None
    assert taken(found, installer=Installer.UV) is None


def test_uv_takes_nothing_whose_pythons_it_cannot_read():
    found = offers("demo-1.0-py3-none-any.whl", requires_python="nonsense")

    assert taken(found) == "demo-1.0-py3-none-any.whl"
    assert taken(found, installer=Installer.UV) is None


def test_a_yanked_file_is_for_whoever_asks_for_that_version_alone():
    found = offers("demo-1.0-py3-none-any.whl", yanked=True, yanked_reason="broken")

    assert against(found) == {"demo-1.0-py3-none-any.whl": "it is yanked: broken"}
    assert taken(found, wanted=">=1.0") is None
    assert taken(found, wanted="==1.*") is None
    assert taken(found, wanted="==1.0") == "demo-1.0-py3-none-any.whl"


def test_of_a_version_the_file_that_is_not_yanked_is_taken():
    found = [
        *offers("demo-1.0-py3-none-any.whl", yanked=True),
        *offers("demo-1.0-1-py3-none-any.whl"),
    ]

    assert taken(found, wanted="==1.0") == "demo-1.0-1-py3-none-any.whl"


def test_a_pre_release_is_for_whoever_asks_or_has_nothing_else():
    found = offers("demo-1.0-py3-none-any.whl", "demo-2.0rc1-py3-none-any.whl")

    assert taken(found) == "demo-1.0-py3-none-any.whl"
    assert against(found)["demo-2.0rc1-py3-none-any.whl"] == "it is a pre-release, and there is a final one"
    assert taken(found, wanted=">=2.0rc1") == "demo-2.0rc1-py3-none-any.whl"
    assert taken(found[1:]) == "demo-2.0rc1-py3-none-any.whl"


def test_beside_a_yanked_final_version_uv_takes_a_pre_release_and_pip_nothing():
    found = [
        *offers("demo-1.0-py3-none-any.whl", yanked=True),
        *offers("demo-2.0rc1-py3-none-any.whl"),
    ]

    assert taken(found) is None
    assert taken(found, installer=Installer.UV) == "demo-2.0rc1-py3-none-any.whl"


def test_of_one_version_the_nearest_tags_and_then_the_latest_build_are_taken():
    found = offers(
        "demo-1.0.tar.gz",
        "demo-1.0-py3-none-any.whl",
        "demo-1.0-cp39-abi3-linux_armv6l.whl",
        "demo-1.0-cp313-cp313-linux_armv6l.whl",
        "demo-1.0-9-cp313-cp313-linux_armv6l.whl",
        "demo-1.0-10-cp313-cp313-linux_armv6l.whl",
    )

    said = against(found)

    assert taken(found) == "demo-1.0-10-cp313-cp313-linux_armv6l.whl"
    assert said["demo-1.0.tar.gz"] == "there is a wheel of this version, which needs no building"
    assert said["demo-1.0-py3-none-any.whl"].startswith("the tags of demo-1.0-10-cp313")
    assert said["demo-1.0-9-cp313-cp313-linux_armv6l.whl"].endswith("is a later build of the same")


def test_pip_takes_our_file_before_upstreams_of_the_same_name():
    same = "demo-1.0-py3-none-any.whl"
    choice = choose([*offers(same, index=PYPI), *offers(same)], ZERO, Installer.PIP)

    assert choice.taken.offer.index == OURS
    assert choice.judged[0].against == "/simple/ has a file that is as good, and comes after PyPI"


def test_uv_looks_no_further_than_the_first_index_that_has_the_project():
    found = [*offers("demo-1.0-py3-none-any.whl"), *offers("demo-2.0-py3-none-any.whl", index=PYPI)]

    assert taken(found, installer=Installer.UV) == "demo-1.0-py3-none-any.whl"
    assert taken(found, installer=Installer.PIP) == "demo-2.0-py3-none-any.whl"
    assert (
        "uv looks no further than /simple/"
        in against(found, installer=Installer.UV)["demo-2.0-py3-none-any.whl"]
    )


def test_nothing_is_taken_of_nothing():
    assert choose([], ZERO, Installer.UV).taken is None
