"""From Debian's lists to the table of what to install, without Debian's mirror."""

from collections import Counter

from deploy.apt_contents import Table, files, grouped, popularity

SOURCES = """Package: a
Build-Depends: debhelper (>= 13), libffi-dev, libboost1.74-dev | libboost-dev
Build-Depends-Indep: python3-dev:any

Package: b
Build-Depends: libffi-dev
"""
CONTENTS = """usr/include/arm-linux-gnueabihf/ffi.h                libdevel/libffi-dev
usr/include/libxml2/libxml/tree.h                    libdevel/libxml2-dev
usr/include/glib-2.0/glib.h                          libdevel/libglib2.0-dev
usr/include/python3.11/Python.h                      libdevel/libpython3.11-dev
usr/include/rare.h                                   libdevel/librare-dev
usr/lib/arm-linux-gnueabihf/libffi.so                libdevel/libffi-dev
usr/lib/arm-linux-gnueabihf/pkgconfig/libffi.pc      libdevel/libffi-dev
usr/bin/cmake                                        devel/cmake
usr/bin/gnome-thing                                  gnome/cmake
usr/share/doc/libffi-dev/README                      libdevel/libffi-dev
""".splitlines()


def table(**more):
    counts = Counter(
        {"libffi-dev": 90, "libxml2-dev": 90, "libglib2.0-dev": 90, "python3-dev": 90, "cmake": 90}
    )
    made = Table(counts | Counter(more))
    for kind, name, package in files(CONTENTS, made.counts):
        made.add(kind, name, package)
    return made


def test_packages_are_counted_once_a_source_by_the_name_that_people_use():
    counts = popularity(SOURCES)

    assert (counts["libffi-dev"], counts["libboost-dev"], counts["python3-dev"]) == (2, 1, 1)


def test_files_of_each_kind_lead_to_their_package():
    found = table().finish()

    assert (
        found["headers", "ffi.h"] == found["libraries", "ffi"] == found["pkgconfig", "libffi"] == "libffi-dev"
    )
    assert found["headers", "libxml/"] == "libxml2-dev"
    assert found["headers", "glib.h"] == "libglib2.0-dev"
    assert found["headers", "Python.h"] == "python3-dev"
    assert found["tools", "cmake"] == "cmake"


def test_what_nobody_builds_with_and_programs_for_people_are_left_out():
    found = table().finish()

    assert ("headers", "rare.h") not in found
    assert ("tools", "gnome-thing") not in found


def test_of_two_packages_the_nearer_file_wins_and_then_the_more_popular():
    made = table()
    made.offer("headers", "x.h", "far-but-popular", depth=1)
    made.counts["popular"] = 50
    made.offer("headers", "x.h", "near")
    made.offer("headers", "x.h", "popular")

    assert made.finish()["headers", "x.h"] == "popular"


def test_the_file_groups_names_by_package():
    groups = grouped({("headers", "b.h"): "p", ("headers", "a.h"): "p", ("tools", "c"): "q"})

    assert groups["headers"] == {"p": "a.h b.h"}
    assert groups["tools"] == {"q": "c"}
