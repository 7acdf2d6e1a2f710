"""What a builder's hello means: whether it may be given builds, and if not, why, in sentences.

Nothing that a builder says of itself earns it anything; it can only talk itself out of work.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime

from django.conf import settings

from builder.contract import SANDBOX_LEVELS, BuilderFacts, Welcome
from builds.log_text import clean
from builds.models import Builder, Target

# How soon a builder shall say hello again: it learns from the answer to one that it is to stop.
HELLO_S = 10.0
# By how much a builder's clock may be off.  Certificates and signatures bear more; logs that are to be
# compared do not.
CLOCK_S = 300.0
# How many sentences of a builder's own are kept, and how much of each.
_MOST, _LONGEST = 10, 300


def hear(builder: Builder, facts: BuilderFacts, now: datetime) -> Welcome:
    """Note what a builder says of itself, and answer with what is wanted of it."""
    problem = " ".join(problems(facts, builder.target, now))
    builder.learn(facts, problem, now)
    if not facts.build:
        builder.forget_build(now)
    stop = builder.mode == Builder.Mode.STOPPED
    return Welcome(heartbeat_s=HELLO_S, stop=stop, problem=problem)


def problems(facts: BuilderFacts, target: Target, now: datetime) -> Iterator[str]:
    """Yield each reason not to give builds to a builder that says this."""
    yield from _cleaned(facts.problems)
    yield from _of_the_clock(facts.clock - now.timestamp())
    yield from _of_the_sandbox(facts)
    yield from _of_the_target(facts, target)


def _cleaned(texts: Sequence[str]) -> Iterator[str]:
    """Yield what a builder says in sentences of its own: not all of it, and nothing that acts on a screen."""
    return (clean(text)[:_LONGEST] for text in texts[:_MOST])


def _of_the_clock(ahead_s: float) -> Iterator[str]:
    """Say that a clock is wrong."""
    if abs(ahead_s) > CLOCK_S:
        way = "ahead of" if ahead_s > 0 else "behind"
        yield f"Its clock is {abs(ahead_s):.0f} s {way} the server's: look at timedatectl there."


def _of_the_sandbox(facts: BuilderFacts) -> Iterator[str]:
    """Say that builds would not be kept apart from the builder as far as the operator demands."""
    wanted = settings.PIWHEELS_SANDBOX
    enough = SANDBOX_LEVELS[SANDBOX_LEVELS.index(wanted) :]
    if facts.sandbox not in enough:
        yield f'Its sandbox is "{clean(facts.sandbox)[:20]}" and PIWHEELS_SANDBOX wants "{wanted}".'
        yield from _cleaned(facts.sandbox_lacks)


def _of_the_target(facts: BuilderFacts, target: Target) -> Iterator[str]:
    """Say that the builder is not what its target needs."""
    for what, found, needed in [
        ("runs Python", facts.python, [target.python]),
        ("is of the platform", facts.platform, [tag.replace("_", "-", 1) for tag in target.platform_tags]),
        ("runs the release", facts.os_release, [target.os_release]),
    ]:
        if found not in needed:
            yield (
                f"It {what} {clean(found)[:60] or 'unknown'}, and its target {target} needs "
                f"{' or '.join(needed)}: enrol it for another target, or give it another system."
            )
