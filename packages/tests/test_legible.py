import pytest

from packages.legible import legible


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("Größe 1.0 – ✔", "Größe 1.0 – ✔"),
        ("a\0b\nc\ud800", "a\ufffdb\ufffdc\ufffd"),
        ("\x1b[31mred\u202e", "\ufffd[31mred\ufffd"),
    ],
)
def test_what_cannot_be_seen_is_a_sign(text, seen):
    assert legible(text) == seen
