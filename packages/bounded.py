"""Lists of the operators' that stay quick however long they are."""

from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.utils.functional import cached_property


class BoundedPaginator(Paginator):  # type: ignore[type-arg]  # Django's own class takes no argument
    """Pages of a list, counted no further than anybody pages; beyond that one searches, or filters."""

    MOST = 10_000

    @cached_property
    def count(self) -> int:
        """How many rows there are, or the most that are shown of them."""
        return min(self._counted, self.MOST)

    @property
    def is_cut(self) -> bool:
        """Whether there are more rows than pages."""
        return self._counted > self.MOST

    @cached_property
    def _counted(self) -> int:
        """Count one row more than is shown, in whatever order is quickest."""
        rows = self.object_list
        if not isinstance(rows, QuerySet):
            return len(rows)
        return rows.order_by().values("pk")[: self.MOST + 1].count()
