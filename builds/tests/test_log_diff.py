import random
import time

import pytest

from builds.log_pages import diff
from builds.log_pages.diff import compare
from builds.log_pages.lines import Line
from builds.log_pages.signs import Signs


def numbered(texts):
    return [Line(number, text) for number, text in enumerate(texts, start=1)]


def differences(a, b):
    return compare(numbered(a), numbered(b), (list(a), list(b)))


def as_diff(a, b):
    """Both logs' lines as a unified diff has them, without its heads."""
    signs = {"both": " ", "first": "-", "second": "+"}
    return [
        "".join(signs[run.kind] + line.text for run in found.runs for line in run.lines)
        for found in differences(a, b)
    ]


def test_what_differs_is_shown_with_three_lines_around():
    assert as_diff("abcdefgh", "abcdXfgh") == [" b c d-e+X f g h"]
    assert as_diff("abcdefghijklmn", "XabcdefghijklmnY") == ["+X a b c", " l m n+Y"]
    assert as_diff("same", "same") == []
    assert as_diff("", "ab") == ["+a+b"]


def test_differences_that_are_close_are_one():
    assert as_diff("abcdefg", "XbcdefY") == ["-a+X b c d e f-g+Y"]


def test_lines_in_both_have_the_numbers_of_the_second_and_know_those_of_the_first():
    (found,) = differences("abc", "Xabc")

    assert [(run.kind, run.at) for run in found.runs] == [("second", (0, 0)), ("both", (0, 1))]
    assert [line.number for line in found.runs[1].lines] == [2, 3, 4]


def test_both_logs_can_be_made_again_from_any_difference():
    draw = random.Random(7)
    for _ in range(500):
        a = draw.choices("abcdef", k=draw.randrange(30))
        b = [text for text in a if draw.random() > 0.1]
        b.insert(draw.randrange(len(b) + 1), draw.choice("abcxyz"))

        runs = [run for found in differences(a, b) for run in found.runs]
        only_a = {line.number for run in runs if run.kind == "first" for line in run.lines}
        only_b = {line.number for run in runs if run.kind == "second" for line in run.lines}

        common_a = [text for number, text in enumerate(a, start=1) if number not in only_a]
        common_b = [text for number, text in enumerate(b, start=1) if number not in only_b]
        assert common_a == common_b


N = diff.MOST
DRAW = random.Random(3)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (["x"] * N, ["y"] * N),
        (["x", "y"] * (N // 2), ["y", "x", "x"] * (N // 3)),
        (DRAW.choices("ab", k=N), DRAW.choices("ab", k=N)),
        (DRAW.choices(range(100), k=N), DRAW.choices(range(100), k=N)),
        (list(range(N)), list(range(N, 0, -1))),
        (list(range(N)), DRAW.sample(range(N), k=N)),
        ([n if n % 100 else n + 0.5 for n in range(N)], [n if n % 99 else n + 0.25 for n in range(N)]),
    ],
    ids=["other", "shifted", "two", "hundred", "reversed", "shuffled", "many"],
)
def test_the_worst_logs_are_compared_in_less_than_a_second(a, b):
    a, b = [str(line) for line in a], [str(line) for line in b]
    began = time.process_time()

    differences(a, b)

    assert time.process_time() - began < 1


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("[ 12%] Building C object a.c.o", "[100%] Building C object a.c.o"),
        ("[12/345] Compiling a", "[ 7/99] Compiling a"),
        ('File "/tmp/pip-build-env-iutv3_aa/x.py"', 'File "/tmp/pip-build-env-q1q1q1q1/x.py"'),
        ("at 0x7f12ab90 in main", "at 0x55aa0010 in main"),
        ("took 12.3 s", "took 4 s"),
        ("Finished release in 1m 23s", "Finished release in 58m 2s"),
        ("on 2026-01-02 12:33:11.5 UTC", "on 2026-11-30 01:02:03.25 UTC"),
        ("commit 9fceb02d0ae598e95dc970b747", "commit 0beec7b5ea3f0fdbc95d0dd47f"),
        ("x-cp311-cp311-linux_armv7l.whl (12 kB)", "x-cp313-cp313-linux_aarch64.whl (9 kB)"),
        ("/usr/lib/arm-linux-gnueabihf/libx.so", "/usr/lib/aarch64-linux-gnu/libx.so"),
        ("-I/usr/include/python3.11 -c a.c", "-I/usr/include/python3.13 -c a.c"),
        ("index http://127.0.0.1:39123/simple", "index http://127.0.0.1:40001/simple"),
        ("  [37 lines of output]", "  [2 lines of output]"),
        ("\u2501\u2501\u2501\u2501\u2501\u2501 1.2 MB/s", "\u2501\u2501\u2501\u2501\u2501\u2501 3.4 MB/s"),
    ],
)  # fmt: skip
def test_what_differs_between_any_two_builds_counts_as_the_same(one, other):
    assert Signs().of(one) == Signs().of(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("exit code: 1", "exit code: 2"),
        ("a.c:12: error: x", "a.c:13: error: x"),
        ("fatal error: Python.h", "fatal error: ffi.h"),
        ("requires numpy 1.2", "requires numpy 2.0"),
        ("defaced facade", "decade facade"),
    ],
)
def test_what_tells_why_a_build_failed_does_not(one, other):
    assert Signs().of(one) != Signs().of(other)


def test_a_version_is_the_same_as_another_by_its_own_name_alone():
    one, other = Signs(["demo-1.0"]), Signs(["demo-2.0"])

    assert one.of("Building demo-1.0") == other.of("Building demo-2.0")
    assert one.of("Using numpy-1.0") != other.of("Using numpy-2.0")


@pytest.mark.parametrize(
    "line", ["{0} ", "/tmp/{0}", "a{0}b-", "9.{0} ", "1{0}:", "{0} s ", "=", "deadbeef{0} ", "process {0} "]
)
def test_the_worst_lines_get_their_signs_in_less_than_a_second(line):
    lines = [(line.format(number) * 400)[:1000] for number in range(diff.MOST)]
    signs = Signs()
    began = time.process_time()

    for each in lines:
        signs.of(each)

    assert time.process_time() - began < 1
