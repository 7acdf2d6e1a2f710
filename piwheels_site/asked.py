"""What forms ask with, and the API too: about which system, which versions, and with which text."""

from django.http import Http404, HttpRequest
from packaging.specifiers import InvalidSpecifier, SpecifierSet

from builds.models import Target
from simple.machines import Model
from simple.requirements import MOST_BYTES, CannotRead


class NoTarget(Http404):
    """There is no system that one could ask about; the text says so to whoever asks."""


def offered_targets() -> list[Target]:
    """Return the systems to choose from: those that are built for, or else all; raises NoTarget."""
    found = list(Target.objects.active()) or list(Target.objects.all())
    if not found:
        raise NoTarget("This farm has no target yet: there is no system that it builds for.")
    return found


def asked_target(said: str, targets: list[Target], model: Model | None) -> Target:
    """Return the system by its key or its release; of a release, the first one that the model runs."""
    named = [target for target in targets if target.key == said]
    of_release = [target for target in targets if target.os_release == said]
    fitting = [t for t in of_release or targets if model is None or t.architecture != "arm64" or model.bits64]
    return (named or fitting or of_release or targets)[0]


def asked_versions(said: str) -> SpecifierSet:
    """Return the versions that are asked for; a bare number means that very version.  Raises CannotRead."""
    try:
        return SpecifierSet(f"=={said}" if said[:1].isdigit() else said)
    except InvalidSpecifier as error:
        raise CannotRead(f"“{said}” is no version: write one as 2.1, or a range as >=2,<3.") from error


def sent_text(request: HttpRequest) -> str:
    """Return what was uploaded, or else what was pasted; raises CannotRead."""
    file = request.FILES.get("file")
    if file is None:
        return str(request.POST.get("text", ""))
    if file.size is None or file.size > MOST_BYTES:
        raise CannotRead(
            f"The file is larger than {MOST_BYTES >> 20} MiB, which no lock file of ours has been."
        )
    try:
        return str(file.read().decode())
    except UnicodeDecodeError as error:
        raise CannotRead("The file is no text in UTF-8.") from error
