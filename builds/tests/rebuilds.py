"""A farm of one builder that builds demo 1.0 again and again, by the builders' door."""

import hashlib
import json

from builds.models import Build
from builds.planning import rebuilding
from builds.tests.pi import Pi
from builds.tests.rows import make_builder, make_target
from builds.tests.wheels import make_wheel as wheel_bytes
from builds.tests.wheels import wheel_of
from packages.clock import database_now
from packages.models import Package

PURE = "py3-none-any"
COMPILED = "cp313-cp313-linux_armv6l.linux_armv7l"


class Farm:
    """One builder that makes of each order what a test says."""

    def __init__(self, name="pi-07", **target):
        self.builder = make_builder(name, make_target(**target), heard_at=database_now())

    def order(self, build):
        """Return the order for a build."""
        assert build.assign(self.builder, database_now())
        response = Pi(self.builder.token).claim(build, build.attempt)
        assert response.status_code == 200, response.content
        return json.loads(response.content)

    def make(self, build, content=b"1", tag=PURE, *, ignores_tag=False, **more):
        """Build and report; return the answer."""
        return self.report(build, self.order(build), content, tag, ignores_tag=ignores_tag, **more)

    def report(self, build, order, content=b"1", tag=PURE, *, ignores_tag=False, **more):
        """Report what came of an order; return the answer."""
        build_tag = "" if ignores_tag else order["build_tag"]
        lines = wheel_of(tag) + (f"Build: {build_tag}\n".encode() if build_tag else b"")
        wheel = wheel_bytes(tag=tag, files={"demo/x": content, **more}, wheel=lines)
        filename = "-".join(filter(None, ["demo-1.0", build_tag, tag])) + ".whl"
        pi = Pi(order["ticket"])
        told = {"filename": filename, "size": len(wheel), "sha256": hashlib.sha256(wheel).hexdigest()}
        fields = {"log_offset": 0, "log_length": 0, "attached": True}
        return pi.report_with(build, wheel, **{"wheels": [{**told, "apt": []}], **fields})

    def again(self):
        """Return the build that an operator has asked for."""
        target = self.builder.target
        package = Package.objects.get()
        pairs = rebuilding.of_package(package, package.versions.get(canonical="1.0"), target)
        assert rebuilding.rebuild(package, pairs, "The compiler was bad.", database_now()).queued == 1
        return Build.objects.waiting().get(target=target)
