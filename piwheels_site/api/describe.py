"""The OpenAPI description, as people read it: what may be asked, what comes back, and an example of each."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote, urlencode

from builds.models import Build, Builder, Target
from piwheels_site.api.answers import ROOT
from piwheels_site.api.door import description
from simple import index

# What a status means here, of those that not every address has.
_MEANS = {
    401: "no token came along, or one that opens nothing",
    403: "this farm does no such thing, your role may not, or a page of another site asks",
    404: "there is no such thing, or nobody follows it",
    413: "what was sent is too large",
    422: "what was asked is not as it is described here",
    503: "too many wait",
}

Json = Mapping[str, Any]  # Any: it is JSON


@dataclass(frozen=True)
class Sample:
    """What there is on this farm, to ask for in examples."""

    package: str = "numpy"
    wheel: str = "numpy-2.3.5-cp313-cp313-linux_armv6l.linux_armv7l.whl"
    build: int = 1
    target: str = "trixie-armhf-cp313"
    builder: str = "pi-07"


@dataclass(frozen=True)
class Field:
    """A parameter, or a part of an answer."""

    name: str
    type: str
    said: str
    is_required: bool = False
    default: str = ""


@dataclass(frozen=True)
class Operation:
    """One thing that may be asked."""

    id: str
    method: str
    path: str
    title: str
    said: str
    parameters: tuple[Field, ...]
    fields: tuple[Field, ...]
    statuses: tuple[tuple[int, str], ...]
    curl: str


@dataclass(frozen=True)
class Section:
    """What belongs together."""

    title: str
    operations: tuple[Operation, ...]


def sample() -> Sample:
    """Return the newest wheel that there is, with what belongs to it: four queries at the most."""
    found = _of_packages()
    builder = Builder.objects.filter(is_enabled=True).values_list("name", flat=True).first()
    return replace(found, builder=builder) if builder else found


def _of_packages() -> Sample:
    wheel = index.offered().select_related("package", "build__target").order_by("-pk").first()
    if wheel:
        return Sample(wheel.package.name, wheel.filename, wheel.build_id, wheel.build.target.key)
    build = Build.objects.order_by("-pk").values_list("version__package__name", "pk", "target__key").first()
    if build:
        return Sample(package=build[0], build=build[1], target=build[2])
    target = Target.objects.values_list("key", flat=True).first()
    return Sample(target=target) if target else Sample()


def sections(site: str, shown: Sample) -> list[Section]:
    """Return all that may be asked of a site, by subject."""
    found: dict[str, list[Operation]] = {}
    for path, methods in description()["paths"].items():
        for method, operation in methods.items():
            found.setdefault(operation["tags"][0], []).append(
                _operation(method, path, operation, site, shown)
            )
    return [Section(title, tuple(operations)) for title, operations in found.items()]


def _operation(method: str, path: str, described: Json, site: str, shown: Sample) -> Operation:
    answer = described["responses"][200].get("content", {})
    return Operation(
        id=f"{method}{path.removeprefix(ROOT)}".translate(str.maketrans("/{}", "-  ")).replace(" ", ""),
        method=method.upper(),
        path=path,
        title=described["summary"],
        said=described["description"],
        parameters=tuple(_asked(described)),
        fields=tuple(_fields(answer["application/json"]["schema"])) if "application/json" in answer else (),
        statuses=tuple((status, said) for status, said in _MEANS.items() if status in described["responses"]),
        curl=_curl(method, path, site, shown),
    )


def _asked(described: Json) -> Iterator[Field]:
    """Yield what may be said with a request."""
    for each in described["parameters"]:
        schema = each["schema"]
        default = str(schema.get("default", ""))
        yield Field(each["name"], _type(schema), _plain(each), each["required"], default)
    if body := described.get("requestBody"):
        yield from _fields(body["content"]["application/json"]["schema"])


def _fields(schema: Json) -> Iterator[Field]:
    """Yield what an object has, and what the objects have that it has lists of."""
    whole = _resolved(schema)
    required = whole.get("required", ())
    for name, each in whole.get("properties", {}).items():
        default = str(each.get("default", ""))
        yield Field(name, _type(each), _plain(each), name in required, default)
        inner = _resolved(each.get("items", {}))
        for field in _fields(inner):
            yield Field(f"{name}[].{field.name}", field.type, field.said, field.is_required, field.default)


def _plain(described: Json) -> str:
    """Return a description without the marks that Markdown has for code."""
    return str(described.get("description", "")).replace("`", "")


def _resolved(schema: Json) -> Json:
    """Return a schema itself, where another one only names it."""
    for each in (schema, *schema.get("allOf", ())):
        if reference := each.get("$ref"):
            found: Json = description()["components"]["schemas"].get(reference.rpartition("/")[2], {})
            return found
    return schema


def _type(schema: Json) -> str:
    """Return a type as people say it."""
    whole = _resolved(schema)
    if "anyOf" in whole:
        return " or ".join(_type(each) for each in whole["anyOf"])
    if "enum" in whole:
        return " | ".join(whole["enum"])
    if whole.get("type") == "array":
        return f"list of {_type(whole['items'])}"
    return str(whole.get("format") or whole.get("type", ""))


def _curl(method: str, path: str, site: str, shown: Sample) -> str:
    """Return how the operation is asked with curl."""
    if path.startswith(f"{ROOT}/operators/"):
        return _curl_with_token(method, path, site, shown)
    if method == "post":
        wanted = (
            {"packages": [shown.package]} if path == f"{ROOT}/requests" else {"text": f"{shown.package}\n"}
        )
        body = json.dumps({**wanted, "target": shown.target})
        return f"curl '{site}{path}' \\\n  -H 'Content-Type: application/json' \\\n  -d '{body}'"
    if path == f"{ROOT}/bundles/{{key}}":
        # There is none to show: the key of a bundle is known to whoever asked for it, and to nobody else.
        asked = _curl("post", f"{ROOT}/bundles", site, shown)
        status = "python3 -c 'import json, sys; print(json.load(sys.stdin)[\"status\"])'"
        return f'curl "{site}$({asked} --silent |\n  {status})"'
    values = {"name": shown.package, "build": str(shown.build), "filename": shown.wheel}
    queries = {
        f"{ROOT}/packages": {"search": shown.package[:2], "limit": "5"},
        f"{ROOT}/wheels": {"package": shown.package},
        f"{ROOT}/builds": {"package": shown.package, "target": shown.target},
        f"{ROOT}/explain/{{name}}": {"target": shown.target},
        f"{ROOT}/statistics": {"days": "7"},
    }
    asked = f"?{urlencode(queries[path])}" if path in queries else ""
    return f"curl '{site}{path.format(**{key: quote(value) for key, value in values.items()})}{asked}'"


def _curl_with_token(method: str, path: str, site: str, shown: Sample) -> str:
    """Return the same of what a token opens, which a shell keeps in a variable."""
    asked = f"curl '{site}{path}' \\\n  -H \"Authorization: Bearer $PIWHEELS_TOKEN\""
    if method != "post":
        return asked
    body = json.dumps({"deed": "resume", "builders": [shown.builder], "reason": "It is cool again."})
    return f"{asked} \\\n  -H 'Content-Type: application/json' \\\n  -d '{body}'"
