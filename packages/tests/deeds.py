"""What operators do in lists, as their browsers send it."""

from typing import NamedTuple

from django.urls import reverse


class Done(NamedTuple):
    """What was asked before a deed, and the page after it."""

    question: str
    page: str


def ask(client, model, action, *rows, query=""):
    """Choose rows and an action, and return the answer: the page that asks, if all is well."""
    path = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
    chosen = {"action": action, "index": "0", "_selected_action": [row.pk for row in rows]}
    return client.post(path + query, chosen)


def act(client, model, action, *rows, reason="", query=""):
    """Do something to rows of a list: choose, read the question, and confirm it."""
    asked = ask(client, model, action, *rows, query=query)
    assert asked.status_code == 200, f"no question: {asked.headers}"
    hidden = {key: asked.context[key] for key in ("action", "index", "chosen")}
    answer = {**hidden, "select_across": "1", "_selected_action": "0", "confirmed": "yes", "reason": reason}
    path = asked.request["PATH_INFO"] + query
    return Done(asked.context["question"], client.post(path, answer, follow=True).content.decode())


def change(client, row, **new):
    """Change fields of a row, as a browser sends them: with all that the form shows, and what it showed."""
    return send(client, row, shown(client, row) | new)


def shown(client, row):
    """Open the form of a row, and return what a browser would send of it."""
    form = client.get(_path(row)).context["adminform"].form
    told: dict[str, object] = {}
    for field in form:
        value = "" if field.value() is None else field.value()
        told |= {field.html_name: value, field.html_initial_name: value}
    return told


def send(client, row, fields):
    """Send what a form of a row has."""
    return client.post(_path(row), fields)


def _path(row):
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=[row.pk])
