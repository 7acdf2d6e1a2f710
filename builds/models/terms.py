"""What is settled of a build as its order is given."""

from typing import NamedTuple


class Terms(NamedTuple):
    """What an order says that the server has to remember."""

    time_limit_s: float | None = None  # None: the farm's
    build_tag: int | None = None  # None: its wheels have none


AS_USUAL = Terms()
