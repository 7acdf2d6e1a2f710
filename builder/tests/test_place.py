import subprocess

import pytest

from builder.place import PREFLIGHT, fresh, remove_leftovers
from builder.tests.server import make_order


def test_a_build_has_fresh_folders_that_nobody_else_reads(tmp_path):
    (tmp_path / "1-1" / "out").mkdir(parents=True)
    (tmp_path / "1-1" / "out" / "old.whl").write_text("old")

    with fresh(tmp_path, make_order()) as place:
        assert place.root == tmp_path / "1-1"
        assert list(place.out.iterdir()) == []
        assert {folder.stat().st_mode & 0o777 for folder in (place.root, place.home, place.tmp)} == {0o700}

    assert list(tmp_path.iterdir()) == []


def test_folders_go_even_when_the_build_breaks_down(tmp_path):
    with pytest.raises(ZeroDivisionError), fresh(tmp_path, make_order()):
        _ = 1 / 0

    assert list(tmp_path.iterdir()) == []


def test_no_tree_is_too_deep_or_too_closed_to_be_removed(tmp_path):
    deep = "import os\nfor _ in range(2000): os.mkdir('d'); os.chdir('d')"

    with fresh(tmp_path, make_order()) as place:
        subprocess.run(["python3", "-c", deep], cwd=place.tmp, check=True)
        place.out.chmod(0)
        place.home.chmod(0o500)

    assert list(tmp_path.iterdir()) == []


def test_a_link_in_a_builds_place_leads_nowhere(tmp_path):
    precious = tmp_path / "precious"
    precious.mkdir(mode=0o500)
    (tmp_path / "1-1").symlink_to(precious)

    with fresh(tmp_path, make_order()) as place:
        assert not place.root.is_symlink()

    assert precious.stat().st_mode & 0o777 == 0o500


def test_what_another_process_tries_at_the_moment_is_no_leftover(tmp_path):
    with subprocess.Popen(["sleep", "60"]) as other:
        used = tmp_path / f"{PREFLIGHT}{other.pid}-abc"
        used.mkdir()
        remove_leftovers(tmp_path)
        assert used.exists()
        other.kill()

    remove_leftovers(tmp_path)

    assert not used.exists()


def test_leftovers_of_a_killed_builder_are_removed_and_nothing_else(tmp_path):
    for name in ("12-1", "7-3", "notes"):
        (tmp_path / name / "out").mkdir(parents=True)

    remove_leftovers(tmp_path)

    assert [path.name for path in tmp_path.iterdir()] == ["notes"]
