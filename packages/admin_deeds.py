"""What operators do to rows of a list: an action that says what it would do to how many, and asks for a word.

The rows are settled when the question is asked: what is confirmed is done to those that were counted,
whatever comes into the list meanwhile.  Each deed is a row of the audit log.
"""

import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from functools import wraps
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.cache import add_never_cache_headers

from packages import audit
from packages.record_admin import FarmAdmin

# The most rows that one deed is done to: each is a transaction, and the operator waits for all of them.
MOST = 2000
# A count, and no part of a name.
_NUMBER = re.compile(r"(?<![\w.-])\d[\d,]*(?![\w.-])")
# So many of them are named when the question is asked.
NAMED = 20


class Reason(Enum):
    """Whether an operator says why."""

    NONE = "none"
    MAY = "may"
    MUST = "must"


@dataclass(frozen=True)
class Wish:
    """Who wants a deed done, and why."""

    by: str
    reason: str = ""

    def said(self, verb: str) -> str:
        """Return it as rows have it: "Too hot. (Drained by ben.)"."""
        who = f"{verb} by {self.by}."
        return f"{self.reason} ({who})" if self.reason else who


@dataclass(frozen=True)
class Outcome:
    """What came of a deed."""

    said: str
    faults: tuple[str, ...] = ()  # what did not work, each in a sentence
    secret: str = ""  # to be shown on a page of its own, this once


@dataclass(frozen=True)
class Deed:
    """One action of a list, as its admin declares it."""

    name: str  # as the audit log has it
    label: str
    question: str  # with {what}, as "This cancels {what}."
    reason: Reason
    most: int


Act = Callable[[Any, QuerySet[Any], Wish], Outcome]  # Any: each admin's own class, and its rows


def deed(
    name: str,
    *,
    label: str,
    question: str,
    reason: Reason = Reason.MAY,
    permission: str = "change",
    most: int = MOST,
) -> Callable[[Act], Callable[..., HttpResponse | None]]:
    """Make an action of a method: ask, do it, say what came of it, and note it in the audit log."""
    it = Deed(name, label, question, reason, most)

    def declare(act: Act) -> Callable[..., HttpResponse | None]:
        """Wrap the method that does it."""

        @admin.action(description=label, permissions=[permission])
        @wraps(act)
        def action(model_admin: FarmAdmin, request: HttpRequest, rows: QuerySet[Any]) -> HttpResponse | None:
            """Ask, or do it."""
            chosen = _chosen(request, rows, it)
            if not chosen:
                model_admin.message_user(request, _say_none(rows, it), messages.WARNING)
                return None
            settled = _settled(model_admin, request, chosen)
            form = WishForm(request.POST if "confirmed" in request.POST else None, reason=it.reason)
            if form.is_valid():
                wish = Wish(request.user.get_username(), form.cleaned_data.get("reason", "").strip())
                return _do(it, act, model_admin, request, settled, wish)
            return _ask(it, model_admin, request, settled, form)

        action.deed = it  # type: ignore[attr-defined]  # for whoever lists the deeds that there are
        return action

    return declare


class WishForm(forms.Form):
    """What an operator says to a deed."""

    reason = forms.CharField(max_length=200, widget=forms.TextInput(attrs={"size": 60, "autofocus": True}))

    def __init__(self, *args: Any, reason: Reason, **options: Any) -> None:  # Any: Django's signature
        super().__init__(*args, **options)
        if reason is Reason.NONE:
            del self.fields["reason"]
        elif reason is Reason.MAY:
            self.fields["reason"].required = False


class ConfirmedForm(forms.ModelForm):  # type: ignore[type-arg]  # Django's own class takes no argument
    """A form that says what saving it would do to how many, and is to be saved once more then."""

    asked = forms.CharField(required=False, widget=forms.HiddenInput)

    def check_together(self, cleaned: dict[str, Any]) -> None:
        """Refuse what no field alone is wrong about; by `add_error`."""

    def effect(self, cleaned: dict[str, Any]) -> str:
        """Say what saving it would do; "" where that is nothing to ask about."""
        raise NotImplementedError

    def clean(self) -> dict[str, Any]:
        """Check the fields together, and ask if nobody has been asked about this very effect."""
        cleaned: dict[str, Any] = super().clean() or {}
        asked = cleaned.pop("asked", "")
        if not self.errors:
            self.check_together(cleaned)
        said = "" if self.errors else self.effect(cleaned)
        if said and not _is_as_asked(said, asked):
            self.data = dict(self.data.items()) | {self.add_prefix("asked"): said}
            self.add_error(None, f"{said} Save it once more to do so.")
        return cleaned


def _is_as_asked(said: str, asked: str) -> bool:
    """Tell whether somebody was asked about this very effect, or about one of hardly less.

    What is counted grows meanwhile on a busy farm, and who had to confirm each number would do so for ever.
    """
    if _NUMBER.sub("", said) != _NUMBER.sub("", asked):
        return False
    now, before = (
        [int(number.replace(",", "")) for number in _NUMBER.findall(text)] for text in (said, asked)
    )
    return all(count <= than + max(10, than // 10) for count, than in zip(now, before, strict=True))


def _chosen(request: HttpRequest, rows: QuerySet[Any], it: Deed) -> list[int | str]:
    """Return the keys of the rows that a deed is for: those that were counted; none if they are too many."""
    if "confirmed" in request.POST:
        given = request.POST.get("chosen", "").split(",")
        with suppress(ValidationError):
            return [rows.model._meta.pk.to_python(key) for key in given if key][: it.most]
        return []
    keys = list(rows.values_list("pk", flat=True)[: it.most + 1])
    return keys if len(keys) <= it.most else []


def _settled(model_admin: FarmAdmin, request: HttpRequest, chosen: list[int | str]) -> QuerySet[Any]:
    """Return the rows that were counted, with what their names are made of."""
    rows = model_admin.get_queryset(request).filter(pk__in=chosen)
    related = model_admin.list_select_related
    return rows if isinstance(related, bool) else rows.select_related(*related)


def _say_none(rows: QuerySet[Any], it: Deed) -> str:
    """Say why nothing is done."""
    if rows.exists():
        return f"These are more than {it.most:,}: filter the list, or start a campaign."
    return "None of these is there any more."


def _ask(
    it: Deed, model_admin: FarmAdmin, request: HttpRequest, rows: QuerySet[Any], form: WishForm
) -> TemplateResponse:
    """Say what would be done to how many, and ask for a word."""
    count = rows.count()
    context = {
        **model_admin.admin_site.each_context(request),
        "title": it.label,
        "opts": model_admin.opts,
        "question": it.question.format(what=model_admin.what(rows)),
        "rows": rows[:NAMED],
        "more": max(0, count - NAMED),
        "chosen": ",".join(str(key) for key in rows.values_list("pk", flat=True)),
        "form": form,
        "action": request.POST["action"],
        "index": request.POST.get("index", "0"),
        "checkbox": ACTION_CHECKBOX_NAME,
    }
    return TemplateResponse(request, "admin/confirm.html", context)


def _do(
    it: Deed, act: Act, model_admin: FarmAdmin, request: HttpRequest, rows: QuerySet[Any], wish: Wish
) -> HttpResponse | None:
    """Do it, note it and say what came of it."""
    named: Sequence[Any] = list(rows)
    noting = audit.noting(request.user.pk, it.name, named, model=model_admin.model, reason=wish.reason)
    with noting as told:
        outcome = act(model_admin, rows, wish)
        told.said = " ".join([outcome.said, *outcome.faults])
    for fault in outcome.faults[:NAMED]:
        model_admin.message_user(request, fault, messages.WARNING)
    if outcome.secret:
        return shown_once(model_admin, request, outcome)
    model_admin.message_user(request, outcome.said)
    return None


def shown_once(model_admin: FarmAdmin, request: HttpRequest, outcome: Outcome) -> TemplateResponse:
    """Show a secret on a page of its own, which no cookie carries and no cache keeps."""
    context = {
        **model_admin.admin_site.each_context(request),
        "title": outcome.said,
        "opts": model_admin.opts,
        "secret": outcome.secret,
    }
    answer = TemplateResponse(request, "admin/shown_once.html", context)
    add_never_cache_headers(answer)
    return answer
