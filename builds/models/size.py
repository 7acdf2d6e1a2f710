"""The sizes that builders have and builds ask for."""

from django.db import models


class Size(models.TextChoices):
    """How much memory a builder has, or a build needs; `Builder.size_of` says from what on."""

    SMALL = "small"
    MEDIUM = "medium"
    LARGE = "large"

    def and_smaller(self) -> list[str]:
        """Return the sizes of what a builder of this size may build."""
        sizes = list(Size)
        return [size.value for size in sizes[: sizes.index(self) + 1]]
