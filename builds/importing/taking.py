"""What becomes of a batch of builds: what is wanted of it, what came, and what is counted."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from builds import failures
from builds.importing import writing
from builds.importing.needs import Need, sorted_out
from builds.importing.storing import KeptLog, Taken, Untaken
from builds.importing.theirs import File, Made
from builds.importing.writing import Ending
from builds.models import Build, Target, Wheel
from packages.importing.progress import Batch, kept
from packages.models import ImportRefusal

# A wheel that was taken when the downloads of its time had been counted is noted as this.
LATE = "late"
ANOTHER = "another file of this name is published here, and the bytes behind a name never change"
UNCOUNTED = "its downloads are still to be counted"


@dataclass
class Found:
    """A build, and what came of its files and its log."""

    made: Made
    target: Target
    log: KeptLog | None = None
    files: list[Taken] = field(default_factory=list)
    needs: dict[str, list[Need]] = field(default_factory=dict)
    is_here: bool = False  # a file of its, or another of the same name

    def ending(self) -> Ending:
        """Return how it ended, as our rows say it."""
        made = self.made
        if made.is_good and self.is_here:
            return Ending(Build.State.SUCCEEDED, "")
        if made.is_good and made.is_replaced:
            return Ending(Build.State.SUCCEEDED, "A later build has made its file anew.")
        if made.is_good and made.deleted and not made.files:
            return Ending(Build.State.SUCCEEDED, "Its file was deleted on the farm that built it.")
        if made.is_good:
            # As a success it would never be built again, and there is nothing to install.
            failure = failures.classes()["file-lost" if made.files else "no-wheel"]
            return Ending(Build.State.FAILED, failure.sentence, failure.key)
        if self.log is None or self.log.diagnosis is None:
            return Ending(Build.State.FAILED, "It failed, and there is no log of it.", "unknown")
        found = self.log.diagnosis
        return Ending(Build.State.FAILED, found.sentence, found.failure.key, found.about)


@dataclass
class Taking:
    """Some builds on their way in."""

    is_again: bool = False
    batch: Batch = field(default_factory=Batch)
    found: list[Found] = field(default_factory=list)
    # Of what is tried again: builds that are there, those with a log, those with a wheel, and files that are
    # still to be taken.
    built: set[int] = field(default_factory=set)
    logged: set[int] = field(default_factory=set)
    with_wheel: set[int] = field(default_factory=set)
    lacking: set[str] = field(default_factory=set)

    def read(self, made: Made) -> None:
        """Count a build that is seen for the first time."""
        if self.is_again:
            return
        self.batch.read("builds")
        self.batch.read("logs")
        self.batch.read("files", len(made.files) + made.deleted)
        self.batch.noted("files", "deleted there", made.deleted)
        self.batch.read("dependencies", sum(len(file.needs) for file in made.files))

    def refuse_all(self, made: Made, reason: str) -> None:
        """Note that a build is not taken, nor what belongs to it."""
        self.batch.refuse("builds", str(made.number), reason, detail=_said(made), build=made.number)
        self.batch.refuse("logs", str(made.number), "its build is not taken", build=made.number)
        for file in made.files:
            self.refuse_file(made, file, Untaken("its build is not taken"))

    def refuse_file(self, made: Made, file: File, error: Untaken) -> None:
        """Note that a file is not taken, nor what it needs."""
        self.batch.refuse("files", file.filename, error.reason, detail=error.detail, build=made.number)
        for tool, need in file.needs:
            key = f"{file.filename} {tool} {need}"
            self.batch.refuse("dependencies", key, "its file is not taken", build=made.number)

    def spare_what_is_there(self) -> None:
        """Leave alone what was taken before."""
        numbers = [each.made.number for each in self.found]
        self.built = set(Build.objects.filter(pk__in=numbers).values_list("pk", flat=True))
        self.with_wheel = set(Wheel.objects.filter(build__in=numbers).values_list("build", flat=True))
        refused = ImportRefusal.objects.filter(build__in=numbers)
        self.lacking = set(refused.filter(subject="files").values_list("key", flat=True))
        logless = set(refused.filter(subject="logs").values_list("build", flat=True))
        self.logged = self.built - logless

    def wanted(self, made: Made) -> Iterable[File]:
        """Return the files of a build that are to be taken."""
        if made.number not in self.built:
            return made.files
        return [file for file in made.files if kept(file.filename) in self.lacking]

    def keep_new_names(self) -> None:
        """Take no file of a name that has been given to one here: the bytes behind a name never change."""
        published = writing.published({file.filename for each in self.found for file in each.made.files})
        for each in self.found:
            each.is_here = (
                bool(each.files)
                or each.made.number in self.with_wheel
                or any(file.filename in published for file in each.made.files)
            )
            for taken in each.files:
                sha256 = published.get(taken.file.filename)
                if sha256 == taken.file.sha256:
                    self.batch.noted("files", "there already")
                    self.batch.taken.add(("files", taken.file.filename))
                elif sha256:
                    error = Untaken(ANOTHER, f"its sha256 is {sha256}")
                    self.refuse_file(each.made, taken.file, error)
            each.files = [taken for taken in each.files if taken.file.filename not in published]

    def sort_out_needs(self) -> None:
        """Tell what can be needed by files from what cannot."""
        for each in self.found:
            for taken in each.files:
                name = taken.file.filename
                each.needs[name], bad = sorted_out(taken.file.needs)
                self.batch.wrote("dependencies", count=len(each.needs[name]))
                for tool, need in bad:
                    key = f"{name} {tool} {need}"
                    self.batch.refuse("dependencies", key, "its name is none that apt or a linker has")

    def count(self) -> None:
        """Count what is taken."""
        for each in self.found:
            made = each.made
            if made.number not in self.built:
                self.batch.wrote("builds", str(made.number))
                self.batch.noted("builds", str(each.ending().state))
            if each.log:
                self.batch.wrote("logs", str(made.number))
                self.batch.noted("logs", "cut", each.log.is_cut)
            for taken in each.files:
                self.batch.wrote("files", taken.file.filename)
                self.batch.noted("files", "bytes", taken.file.size)
                if self.is_again:
                    self.batch.refuse(LATE, taken.file.filename, UNCOUNTED)

    def keep(self, numbers: Collection[int]) -> None:
        """Go on with these builds alone."""
        self.found = [each for each in self.found if each.made.number in numbers]


def _said(made: Made) -> str:
    return f"{made.package} {made.version} for {made.abi}"
