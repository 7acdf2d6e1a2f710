"""Has a wheel looked at in the sandbox: it gets the name that it deserves, and its needs are found."""

from builder import tools
from builder.bench import Bench
from builder.collect import BadOutput, Wheel
from builder.inspection import Facts, Unfit, read_facts
from builder.libraries import DPKG, Needs, apt_packages
from builder.log import Log
from builder.pip_wheel import Made, fault_of_ours

_MOST_NOTES = 20
_LONGEST_NOTE = 500


def inspect(bench: Bench, wheel: Wheel, made: Made) -> Facts:
    """Put a wheel into `place.out` under the name that the target may have it by; return what was found.

    Raises BadOutput when it cannot be offered, or PipFailed when to look at it takes more than there is.
    """
    order, place, box = bench.order, bench.place, bench.box
    copy = wheel.copy_to(place.source)
    place.clear()
    words = ["--architecture", order.architecture, "--abi", order.abi]
    words += [word for platform in order.platforms for word in ("--platform", platform)]
    words += ["--build-tag", order.build_tag] if order.build_tag else []
    words += [str(box.inside(copy)), str(box.inside(place.out))]
    with Log(place.root) as told:
        outcome = bench.offline().run(
            tools.program(box, "builder.inspection", *words),
            environment=tools.environment(box, {"LANG": "C.UTF-8"}),
            log=told,
        )
        complaint = told.read(0, 1000).decode(errors="replace").strip()
    if fault := fault_of_ours(bench, outcome, made, "looking at the wheel", complaint):
        raise fault
    try:
        facts = read_facts(place.out)
    except Unfit as error:
        raise BadOutput(f"{error} {complaint}".strip()) from error
    if facts.refused:
        raise BadOutput(facts.refused)
    for note in facts.notes[:_MOST_NOTES]:
        bench.log.note(note[:_LONGEST_NOTE])
    return facts


def needs(bench: Bench, facts: Facts) -> Needs:
    """Return what a wheel needs of the system, where packages unpacked for its build count as well."""
    databases = (DPKG, bench.extra.database) if bench.extra.database else (DPKG,)
    return apt_packages(facts.libraries, facts.asked, bench.order.architecture, databases)
