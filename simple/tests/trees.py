"""What is in the published tree, and what would be in one that is made of the same rows from nothing."""

from datetime import timedelta
from pathlib import Path

from packages.models import Package
from simple import publishing, roots, tree
from simple.models import Shown


def contents():
    """Return all that readers see of the tree: pages by their bytes, links by the file that they are."""
    public = tree.folder("simple").parent
    paths = [path for path in public.rglob("[!.]*") if path.is_file()]
    return {
        str(path.relative_to(public)): path.stat().st_ino if ".whl" in path.name else path.read_bytes()
        for path in paths
    }


def out_of_step():
    """Return the pages that have another second than the same ones packed."""
    public = tree.folder("simple").parent
    pairs = {path: path.with_suffix("") for path in public.rglob(f"index.*{tree.PACKED}")}
    return {str(path) for path, plain in pairs.items() if path.stat().st_mtime != plain.stat().st_mtime}


def settle(now):
    """Do what the writer does in the time to come."""
    for turn in range(3):
        publishing.publish(now + turn * (Shown.LINGER + timedelta(minutes=2)))
    roots.publish(now + timedelta(hours=1), at_once=True)


def expected(settings, folder: Path, now):
    """Return what a tree would be that is made of the same rows from nothing."""
    before, settings.PIWHEELS_PUBLIC = settings.PIWHEELS_PUBLIC, folder
    Package.objects.update(shown_revision=-1)
    settle(now)
    made, settings.PIWHEELS_PUBLIC = contents(), before
    return made
