"""The target that this machine itself is, for a farm on one machine."""

from builds.builders.this_machine import fields
from builds.models import Target


def host_target() -> Target:
    """Return the active target for this machine and the Python that runs this, adding it if need be."""
    host = fields()
    target, _ = Target.objects.get_or_create(
        key=host["key"],
        # For most hosts upstream has wheels of nearly everything; who builds nothing shows nothing.
        defaults={**host, "order": 1, "policy": Target.Policy.EVERYTHING},
    )
    # The machine may have been upgraded, or was a target before these were kept.
    target.note_libraries(glibc=host["glibc"], glibcxx=host["glibcxx"])
    if not target.is_active:
        target.activate()
    return target
