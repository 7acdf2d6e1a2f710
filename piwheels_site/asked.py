"""What forms ask with, and the API too: about which system, and with which text."""

from django.http import HttpRequest

from builds.models import Target
from simple.machines import Model
from simple.requirements import MOST_BYTES, CannotRead


def asked_target(said: str, targets: list[Target], model: Model | None) -> Target:
    """Return the system by its key or its release; of a release, the first one that the model runs."""
    named = [target for target in targets if target.key == said]
    of_release = [target for target in targets if target.os_release == said]
    fitting = [t for t in of_release or targets if model is None or t.architecture != "arm64" or model.bits64]
    return (named or fitting or of_release or targets)[0]


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
