from builds.log_pages.lines import Lines
from builds.log_pages.phases import Phase, phases

BUILT = b"""\
[piwheels: fetching http://upstream.test/demo-1.0.tar.gz]
Processing ./source
  Installing build dependencies: started
  Installing build dependencies: finished with status 'done'
  Getting requirements to build wheel: started
  Getting requirements to build wheel: finished with status 'done'
  Preparing metadata (pyproject.toml): started
  Preparing metadata (pyproject.toml): finished with status 'done'
Building wheels for collected packages: demo
  Building wheel for demo (pyproject.toml): started
Successfully built demo
[piwheels: demo-1.0-py3-none-any.whl: 1234 bytes, needs no apt packages; tried: works]
"""


def test_a_build_has_the_phases_that_its_builder_and_pip_tell():
    assert phases(Lines(BUILT)) == [
        Phase("Fetching the source", 1, 2),
        Phase("Installing what the build needs", 3, 4),
        Phase("Asking what the build needs", 5, 6),
        Phase("Preparing the metadata", 7, 8),
        Phase("Building the wheel", 9, 10),
        Phase("Looking at what came out", 11, 12),
    ]


def test_what_none_of_them_tells_is_one_phase():
    assert phases(Lines(b"hello\nworld\n")) == [Phase("Log", 1, 2)]
    assert phases(Lines(b"")) == []
    assert phases(Lines(b"hello\n" + BUILT))[0] == Phase("Beginning", 1, 1)


def test_a_build_that_says_their_words_for_ever_has_few_phases():
    found = phases(Lines(b"Successfully built x\n[piwheels: unpacking \n" * 100_000))

    assert len(found) == 40
    assert found[-1].last == 200_000


def test_words_inside_a_line_begin_nothing():
    assert len(phases(Lines(b"x Successfully built y\n echo [piwheels: fetching z\n"))) == 1
