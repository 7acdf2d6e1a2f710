import time

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from simple.bundle.metadata import Metadata, Unusable, read
from simple.bundle.resolve import CannotResolve, resolve
from simple.choose import Installer, Machine, Offer, ranked
from simple.requirements import read as read_requirements

PI = Machine(python="3.13", abi="cp313", processor="armv7l", glibc="2.41")
ENVIRONMENT = {
    "python_version": "3.13",
    "python_full_version": "3.13.5",
    "sys_platform": "linux",
    "platform_machine": "armv7l",
    "os_name": "posix",
}
TAG = "py3-none-any"


class Shelf:
    """What there is, as {"name-1.0": ["what it needs"]}."""

    def __init__(self, **unusable):
        self.offers, self.needs, self.unusable, self.read = {}, {}, unusable, []

    def add(self, name, version, *needs, tag=TAG, sha256=""):
        filename = f"{name}-{version}-{tag}.whl"
        self.offers.setdefault(name, []).append(Offer(filename, "PyPI", name, sha256=sha256))
        self.needs[filename] = tuple(Requirement(need) for need in needs)
        return self

    def ranked(self, name, wanted, hashes):
        return ranked(self.offers.get(name, []), PI, Installer.PIP, wanted, hashes)

    def metadata(self, name, offer):
        self.read.append(offer.filename)
        if offer.filename.split("-")[0] in self.unusable:
            raise Unusable(self.unusable[offer.filename.split("-")[0]])
        return Metadata(self.needs[offer.filename], frozenset({"more-things", "fast", "other"}))

    def why_none(self, name, wanted):
        return f"no {name}{wanted} here"


def solved(shelf, asked, environments=(ENVIRONMENT,), **fields):
    found = resolve(read_requirements(asked).packages, shelf, environments, **fields)
    return [str(pick) for pick in found.wheels]


def test_all_that_is_needed_is_found():
    shelf = Shelf().add("a", "1.0", "b>=1", "c").add("b", "1.0", "c<3").add("c", "2.0").add("c", "3.0")

    assert solved(shelf, "a") == ["a 1.0", "b 1.0", "c 2.0"]


def test_a_circle_ends():
    shelf = Shelf().add("a", "1.0", "b").add("b", "1.0", "a")

    assert solved(shelf, "a") == ["a 1.0", "b 1.0"]


def test_an_older_version_is_taken_where_the_newest_fits_nobody():
    shelf = Shelf().add("a", "2.0", "c>=2").add("a", "1.0", "c").add("b", "1.0", "c<2")
    shelf.add("c", "1.0").add("c", "2.0")

    assert solved(shelf, "a\nb") == ["a 1.0", "b 1.0", "c 1.0"]


def test_markers_are_the_machines():
    needs = [
        "b; sys_platform == 'win32'",
        "c; python_version >= '3.10'",
        "d; platform_machine == 'armv7l' and os_name == 'posix'",
    ]
    shelf = Shelf().add("a", "1.0", *needs).add("b", "1.0").add("c", "1.0").add("d", "1.0")

    assert solved(shelf, "a") == ["a 1.0", "c 1.0", "d 1.0"]
    assert solved(shelf, "a\nb; sys_platform == 'darwin'") == ["a 1.0", "c 1.0", "d 1.0"]


def test_of_a_machine_that_may_say_two_things_both_are_heeded():
    both = [ENVIRONMENT, {**ENVIRONMENT, "platform_machine": "aarch64"}]
    shelf = Shelf().add("a", "1.0", "b; platform_machine == 'aarch64'", "c; platform_machine == 'armv7l'")
    shelf.add("b", "1.0", "d; platform_machine == 'x86_64'").add("c", "1.0").add("d", "1.0")

    assert solved(shelf, "a") == ["a 1.0", "c 1.0"]
    assert solved(shelf, "a", both) == ["a 1.0", "b 1.0", "c 1.0"]
    assert solved(shelf, "a; platform_machine == 'aarch64'", both) == ["a 1.0", "b 1.0", "c 1.0"]


def test_extras_bring_what_they_need_and_those_of_others():
    shelf = Shelf().add("a", "1.0", "b[fast]; extra == 'more-things'", "e; extra == 'other'")
    shelf.add("b", "2.0", "c; extra == 'fast'").add("b", "1.0").add("c", "1.0").add("e", "1.0")

    assert solved(shelf, "a") == ["a 1.0"]
    assert solved(shelf, "a[More_Things]") == ["a 1.0", "b 2.0", "c 1.0"]
    assert solved(shelf, "a[more-things]\nb<2") == ["a 1.0", "b 1.0"]


def test_an_extra_that_no_wheel_declares_brings_nothing():
    shelf = Shelf().add("a", "1.0", "b; extra == 'undeclared'")

    assert solved(shelf, "a[undeclared]") == ["a 1.0"]


def test_what_is_there_already_is_left_out_if_it_will_do():
    shelf = Shelf().add("a", "1.0", "b>=1", "c>=2").add("b", "1.0").add("b", "2.0").add("c", "2.0")
    installed = {"b": Version("1.0"), "c": Version("1.0")}

    found = resolve(read_requirements("a").packages, shelf, [ENVIRONMENT], installed)

    assert [str(pick) for pick in found.wheels] == ["a 1.0", "c 2.0"]
    assert [str(pick) for pick in found.present] == ["b 1.0"]


def test_what_is_there_needs_what_its_wheel_says():
    shelf = Shelf().add("a", "1.0", "b").add("b", "1.0", "c").add("c", "1.0")

    assert solved(shelf, "a", installed={"b": Version("1.0")}) == ["a 1.0", "c 1.0"]
    # Of one that nobody here knows, nothing is known.
    assert solved(shelf, "a", installed={"b": Version("9.0+own")}) == ["a 1.0"]


def test_who_wanted_a_wheel_is_told():
    shelf = Shelf().add("a", "1.0", "c").add("b", "1.0", "c").add("c", "1.0")

    found = resolve(read_requirements("a\nb").packages, shelf, [ENVIRONMENT])

    assert found.wanted_by == {"a": (), "b": (), "c": ("a", "b")}


def test_a_conflict_names_who_is_at_odds():
    shelf = Shelf().add("a", "1.0", "c<2").add("b", "1.0", "c>=2").add("c", "1.0").add("c", "2.0")

    with pytest.raises(CannotResolve) as refusal:
        solved(shelf, "a\nb")

    assert str(refusal.value) == "a 1.0 needs c<2; b 1.0 needs c>=2: no version is all of this."


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ("a==9", "You ask for a==9: no a==9 here"),
        ("a", "a 1.0 needs stranger>=1: no stranger>=1 here"),
        ("bad", "bad-1.0-py3-none-any.whl cannot be used: it is rotten"),
        (f"c --hash=sha256:{'a' * 64}", "leave the hashes out"),
    ],
)
def test_what_cannot_be_had_is_named(asked, says):
    shelf = Shelf(bad="it is rotten").add("a", "1.0", "stranger>=1").add("bad", "1.0")
    shelf.add("c", "1.0", sha256="b" * 64)

    with pytest.raises(CannotResolve, match=r"\A.+\Z") as refusal:
        solved(shelf, asked)

    assert says in str(refusal.value)


def test_hashes_choose_the_file():
    shelf = Shelf().add("a", "1.0", sha256="a" * 64).add("a", "2.0", sha256="b" * 64)

    assert solved(shelf, f"a --hash=sha256:{'a' * 64}") == ["a 1.0"]
    assert solved(shelf, f"a[x] --hash=sha256:{'a' * 64}") == ["a 1.0"]


def test_a_wheel_that_cannot_be_used_is_passed_over():
    shelf = Shelf().add("a", "1.0")
    shelf.offers["a"].append(Offer("a-2.0-py3-none-any.whl", "PyPI", "a"))

    class Choosy(Shelf):
        def metadata(self, name, offer):
            if "2.0" in offer.filename:
                raise Unusable("it is rotten")
            return super().metadata(name, offer)

    choosy = Choosy()
    choosy.offers, choosy.needs = shelf.offers, shelf.needs

    assert solved(choosy, "a") == ["a 1.0"]


def test_only_what_comes_into_question_is_read():
    shelf = Shelf()
    for number in range(50):
        shelf.add("a", f"{number}.0", "b").add("b", f"{number}.0")

    assert solved(shelf, "a") == ["a 49.0", "b 49.0"]
    assert set(shelf.read) == {"a-49.0-py3-none-any.whl", "b-49.0-py3-none-any.whl"}


def test_a_hopeless_search_is_ended_by_its_pulse():
    shelf = Shelf()
    for number in range(200):
        shelf.add("a", f"{number}.0", "b>1").add("b", "1.0")
    beats = iter(range(100))

    def pulse():
        if next(beats) == 50:
            raise TimeoutError

    with pytest.raises(TimeoutError):
        solved(shelf, "a", pulse=pulse)


def test_metadata_is_read_as_it_is_written():
    found = read(b"Metadata-Version: 2.1\nName: A.b\nVersion: 1\nRequires-Dist: c (>=1)\n\ntext", "a-b")

    assert [(each.name, each.specifier) for each in found.requires] == [("c", SpecifierSet(">=1"))]


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("Name: other\n", "its METADATA is of other"),
        ("Name: a\nRequires-Dist: c @ https://evil.test/c.whl\n", "from an address"),
        ("Name: a\nRequires-Dist: not one\n", "cannot be read"),
        ("Name: a\n" + "Requires-Dist: c\n" * 5001, "needs 5001 packages"),
        ("Name: a\nRequires-Dist: c!=1" + ",!=0.0.1" * 200, "too long to be read: c!=1,!=0.0.1"),
        ("", "its METADATA is of nothing"),
    ],
)
def test_metadata_of_strangers_is_refused(said, why):
    with pytest.raises(Unusable, match=why):
        read(said.encode(), "a")


def test_metadata_of_many_headers_costs_little_time():
    said = "Name: a\n" + "".join(f"x{number}: y\n" for number in range(30_000))
    began = time.process_time()

    read(said.encode(), "a")

    assert time.process_time() - began < 5
