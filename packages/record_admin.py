"""What the operators' doors of all apps share: how they list millions, and show what is only recorded."""

from copy import copy
from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.db.models import Count, Field, Model, QuerySet
from django.http import HttpRequest
from packaging.utils import canonicalize_name

from packages.bounded import BoundedPaginator
from packages.wording import many


class FarmAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # Django's own class takes no argument
    """A list that costs one query of one page, however many rows there are."""

    paginator = BoundedPaginator
    show_full_result_count = False
    # To count what each choice of a filter would show reads all rows, for each of them.
    show_facets = admin.ShowFacets.NEVER
    # The order of a list is that of an index; any other would sort all of it.
    sortable_by: ClassVar[Any] = ()  # Any: Django's class has a sequence or None

    def formfield_for_dbfield(self, db_field: "Field[Any, Any]", request: HttpRequest, **kwargs: Any) -> Any:
        """Say to who cannot see it which of the two fields of a time is which; Django's have one label."""
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if isinstance(field, forms.SplitDateTimeField):
            for part, widget in zip(("date", "time"), field.widget.widgets, strict=True):
                widget.attrs["aria-label"] = f"{field.label}: {part}"
        return field

    # Any: Django's signature, of whatever model.
    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        """Have a form of a row that there is bring what it showed along with what it says.

        What somebody else has changed since then would look like a change of this operator's otherwise, and
        be undone.
        """
        form = super().get_form(request, obj, change, **kwargs)
        if change:
            for name, field in form.base_fields.items():
                # A form that is written by hand has the same fields for all.
                form.base_fields[name] = copy(field)
                # What cannot be changed, as the hash of a password, has nothing to bring along.
                form.base_fields[name].show_hidden_initial = not field.disabled
        return form

    # Any: Django's signature, of whatever model.
    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Save of a row that there is what the form has changed: the rest may be another by now."""
        if change:
            obj.save(update_fields=changed_columns(form))
        else:
            super().save_model(request, obj, form, change)

    def what(self, rows: QuerySet[Any]) -> str:  # Any: of whatever model
        """Say what a deed is done to, for whoever confirms it: "12 builds of 3 packages"."""
        return many(rows.count(), self.opts)


def changed_columns(form: Any) -> set[str]:  # Any: of whatever model
    """Return the columns of its row that a form has changed; a form may have fields that are none."""
    return {field.name for field in form.instance._meta.concrete_fields}.intersection(form.changed_data)


class OneByOneAdmin(FarmAdmin):
    """A table whose rows are deleted each from its own page, if at all.

    Django's action for several reads all that leads to each of them, to say that this keeps it, and asks for
    no reason.
    """

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:  # Any: what Django makes of an action
        """Leave that action out."""
        actions: dict[str, Any] = super().get_actions(request)
        actions.pop("delete_selected", None)
        return actions


class RecordAdmin(FarmAdmin):
    """A table that only shows what happened."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Nobody adds a record by hand."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Nobody deletes a record by hand."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Nobody edits a record; its list offers its actions, if any, to those who may change it."""
        return obj is None and bool(self.actions) and super().has_change_permission(request, obj)


def search_version(rows: QuerySet[Any], text: str, path: str) -> QuerySet[Any]:  # Any: of whatever model
    """Narrow rows to "name", "name==version" or "name version": names and versions that begin so.

    With a version the name is the whole one.  The path leads from a row to its version.
    """
    name, _, number = text.strip().replace("==", " ").partition(" ")
    if not name:
        return rows
    name = canonicalize_name(name)
    if not (number := number.strip()):
        return rows.filter(**{f"{path}package__name__startswith": name})
    return rows.filter(**{f"{path}package__name": name, f"{path}number__startswith": number})


def by_package(rows: QuerySet[Any], path: str) -> int:  # Any: of whatever model
    """Return of how many packages rows are; the path leads there."""
    return int(rows.order_by().aggregate(packages=Count(path, distinct=True))["packages"])
