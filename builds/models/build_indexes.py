"""How questions about builds find their rows among tens of millions; each as small as its question allows."""

from django.contrib.postgres.indexes import BrinIndex
from django.db import models
from django.db.models import F, Q

INDEXES = [
    # Equal in the first three and read in the order of the rest: the next builds are the first rows,
    # however many there are.
    models.Index(
        F("target"),
        F("size"),
        F("is_long"),
        F("priority").desc(),
        F("released_at").desc(),
        F("id"),
        condition=Q(state="queued", not_before=None),
        name="builds_build_lanes",
    ),
    models.Index(
        fields=["not_before"],
        condition=Q(state="queued", not_before__isnull=False),
        name="builds_build_pausing",
    ),
    models.Index(
        fields=["campaign", "state"],
        condition=Q(campaign__isnull=False),
        name="builds_build_campaign",
    ),
    models.Index(
        fields=["-finished_at"],
        condition=Q(finished_at__isnull=False),
        name="builds_build_finished_at",
    ),
    models.Index(
        fields=["target", "failure", "id"],
        condition=Q(state="failed"),
        name="builds_build_failed",
    ),
    models.Index(
        fields=["builder", "-finished_at"],
        condition=Q(builder__isnull=False),
        name="builds_build_of_builder",
    ),
    # Few of millions, so that no list of them looks at all.
    models.Index(
        fields=["state", "id"],
        condition=Q(state__in=["cancelled", "lost"]),
        name="builds_build_rare",
    ),
    models.Index(fields=["id"], condition=Q(is_given_up=True), name="builds_build_for_a_person"),
    # Of code that does not know the field; it leads to what that gave up.
    models.Index(
        fields=["id"],
        condition=Q(state__in=["failed", "lost"], losses__gte=3),
        name="builds_build_given_up",
    ),
    # Some kilobytes that tell of each megabyte of the table which targets are in it: so a target that was
    # hardly ever built for has its list, and one that never was can be deleted, without a look at all rows.
    BrinIndex(fields=["target"], name="builds_build_of_target", opclasses=["int8_minmax_multi_ops"]),
    # For whoever removes a builder.
    models.Index(fields=["avoid"], condition=Q(avoid__isnull=False), name="builds_build_avoid"),
    models.Index(fields=["source"], condition=Q(source__isnull=False), name="builds_build_of_source"),
]
