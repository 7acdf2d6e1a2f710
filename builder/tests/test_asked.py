import pytest

from builder.asked import asked


@pytest.mark.parametrize(
    "odd",
    [
        "six; sys_platform ~= 'x'",
        "six; 'x' in extras",
        "six; nonsense",
        "six @ https://example.org/six.zip",
    ],
)
def test_a_requirement_that_cannot_be_judged_is_left_out_and_the_others_are_asked_for(tmp_path, odd):
    (tmp_path / "pyproject.toml").write_text(
        f'[build-system]\nrequires = ["cffi>=1", "{odd}", "pbr; python_version < \'3\'"]\n'
    )

    assert list(asked(tmp_path)) == ["cffi>=1"]


@pytest.mark.parametrize("content", ["", "[", "build-system = 1", "[build-system]\nrequires = 'six'"])
def test_a_source_that_says_nothing_of_it_asks_for_nothing(tmp_path, content):
    (tmp_path / "pyproject.toml").write_text(content)

    assert list(asked(tmp_path)) == []


def test_a_link_is_not_followed(tmp_path):
    (tmp_path / "other.toml").write_text('[build-system]\nrequires = ["six"]\n')
    (tmp_path / "pyproject.toml").symlink_to("other.toml")

    assert list(asked(tmp_path)) == []
