"""One row of each model of ours, for what goes through all of them."""

from builds.models import (
    Breakage,
    BuildDay,
    Campaign,
    Counting,
    Demand,
    Dependency,
    Push,
    Recipe,
    Skip,
    StandingFailure,
    StorageCheck,
    TargetQueue,
)
from builds.tests.rows import NOON, make_built
from packages.models import Alias, Dirty, ImportRefusal, ImportStep, SyncCursor
from simple.models import (
    Bundle,
    Client,
    Download,
    DownloadDay,
    Log,
    Miss,
    MonthlyDownload,
    PackageDownload,
    PublishedTree,
    Request,
    Shown,
)


def make_every_row():
    """Make one row of each of our models, and return them."""
    wheel = make_built()
    package = wheel.package
    pip = Client.objects.create(installer="pip", python="3.13")
    return [
        pip,
        wheel,
        wheel.build,
        wheel.build.builder,
        wheel.build.target,
        package,
        wheel.version,
        wheel.version.files.get(),
        Alias.objects.create(package=package, name="Demo"),
        Dirty.objects.create(name="demo"),
        SyncCursor.objects.create(),
        ImportStep.objects.create(name="builds"),
        ImportRefusal.objects.create(subject="file", key="demo.whl", reason="Its hash is another."),
        Download.objects.create(wheel=wheel, day=NOON.date(), client=pip, count=3),
        MonthlyDownload.objects.create(wheel=wheel, month=NOON.date(), client=pip, count=3),
        PackageDownload.objects.create(package=package, day=NOON.date(), count=3),
        DownloadDay.objects.create(day=NOON.date(), count=3),
        Log.objects.create(path="/var/log/nginx/access.log"),
        Miss.objects.create(package=package, day=NOON.date(), count=3),
        Dependency.objects.create(wheel=wheel, tool="apt", name="libpq5"),
        wheel.build.refusals.create(filename="x.whl", reason="no"),
        Recipe.objects.create(package=package, apt=["libffi-dev"]),
        Demand.objects.create(package=package, downloads=3),
        Push.objects.create(package=package),
        Skip.objects.create(package=package, target=wheel.build.target, reason="no"),
        Campaign.objects.create(name="spring", target=wheel.build.target, kind="wanted", count=10),
        Counting.objects.create(thing="queue"),
        TargetQueue.objects.create(target=wheel.build.target),
        BuildDay.objects.create(day=NOON.date(), target=wheel.build.target, state="lost"),
        StandingFailure.objects.create(failure="timeout"),
        Breakage.objects.create(build=wheel.build, good=wheel.version, day=NOON.date()),
        StorageCheck.objects.create(prefix="ab"),
        Shown.objects.create(package=package, indexes="simple"),
        PublishedTree.current(),
        Request.objects.create(day=NOON.date(), client=1, name="demo"),
        Bundle.objects.create(
            day=NOON.date(), client=1, target=wheel.build.target, wanted="demo", asked_at=NOON
        ),
    ]
