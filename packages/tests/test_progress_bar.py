from io import StringIO

from packages.progress_bar import ProgressBar


class Terminal(StringIO):
    def isatty(self):
        return True


def test_a_line_tells_what_is_done_how_fast_and_what_is_left():
    bar = ProgressBar(400, Terminal())
    bar.advance(100)

    assert bar.line(10.0) == f"[{'#' * 8}{'.' * 22}] 100/400  10/s  0:00:30 left"


def test_a_line_may_tell_what_is_being_done():
    bar = ProgressBar(4, Terminal())
    bar.show("demo")

    assert bar.line(1.0).endswith("0/4  demo")


def test_nothing_to_do_is_a_full_bar():
    assert ProgressBar(0, Terminal()).line(1.0) == f"[{'#' * 30}] 0/0"


def test_the_line_is_taken_away_at_the_end():
    out = Terminal()
    with ProgressBar(1, out) as bar:
        bar.advance(1)

    assert out.getvalue().endswith("\r\033[K")


def test_nothing_is_shown_where_nobody_looks():
    out = StringIO()
    with ProgressBar(1, out) as bar:
        bar.advance(1)

    assert out.getvalue() == ""
