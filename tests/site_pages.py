"""The pages of the site, in one place: the browser reads them, and `benchmarks/site.py` measures them."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Page:
    """A page: its address and a text that it must show, with names for what depends on the farm.

    The names: {package} has wheels, {unbuilt} has none; {prefix} begins the name of the first; {succeeded},
    {failed}, {building} and {queued} are builds in these states; {packed}, {unpackable} and {packing} are
    bundles.
    """

    path: str
    says: str
    # Seconds that it may take in a farm of a million packages; 0: nobody waits for it.
    goal_s: float = 0.0
    status: int = 200
    # Whether it is one for programs, without our frame and style.
    is_plain: bool = False


PAGES = [
    Page("/", "Raspberry", 0.1),
    Page("/packages.html", "Packages", 0.05),
    Page("/packages.html?q={prefix}", "{package}", 0.05),
    Page("/project/{package}/", "{package}", 0.05),
    Page("/project/{unbuilt}/", "{unbuilt}", 0.05),
    Page("/project/{unbuilt}/request", "Ask for"),
    Page("/builds/{succeeded}/", "built", 0.05),
    Page("/builds/{failed}/", "failed", 0.05),
    Page("/builds/{building}/", "Building", 0.05),
    Page("/builds/{queued}/", "Queued", 0.05),
    Page("/farm/", "The farm", 0.1),
    Page("/queue/", "The queue", 0.1),
    Page("/queue/?package={package}", "{package}", 0.1),
    Page("/failures/", "What fails", 0.1),
    Page("/failures/missing-header/", "header", 0.1),
    Page("/stats.html", "tatistics", 0.1),
    Page("/status/", "Status", 0.1),
    Page("/explain/{package}/", "does my Pi get", 0.1),
    Page("/check/", "Will it all install"),
    Page("/bundle/", "For a Pi without a network"),
    Page("/bundle/{packing}/", "It is the next"),
    Page("/bundle/{packed}/", "Ready: 1 wheel"),
    Page("/bundle/{unpackable}/", "This cannot be packed"),
    Page("/faq.html", "Questions and answers"),
    Page("/json.html", "JSON"),
    Page("/api/v1/docs", "The API", 0.05),
    Page("/nothing", "There is no such page", status=404),
    Page("/project/nothing-of-this-name/", "There is no nothing-of-this-name here", status=404),
    Page("/simple/", "{package}", is_plain=True),
    Page("/simple/{package}/", "{package}", is_plain=True),
]
