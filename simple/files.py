"""Serves stored files: whole, in part (RFC 9110, 14), or not at all because the client has them.

Which file a URL means is decided elsewhere; here is only what a storage and a request make of it.
"""

import logging
import re
from pathlib import Path

from django.core.files.storage import default_storage
from django.http import FileResponse, Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.views.decorators.http import condition
from whitenoise.responders import SlicedFile  # type: ignore[import-untyped]

logger = logging.getLogger(__name__)

_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})", re.IGNORECASE)


def _etag(request: HttpRequest, name: str, sha256: str) -> str:
    """Return a strong validator: the bytes are what their hash says, for ever."""
    return f'"{sha256}"'


@condition(etag_func=_etag)
def serve(request: HttpRequest, name: str, sha256: str) -> HttpResponseBase:
    """Answer GET and HEAD for the stored file of that name.

    A bucket's files come from the bucket: its address is signed for GET alone and for a while, so HEAD is
    answered here and the redirect is not to be kept.
    """
    try:
        if request.method == "HEAD":
            return _described(HttpResponse(), default_storage.size(name))
        return _content(request, Path(default_storage.path(name)), sha256)
    except NotImplementedError:
        return HttpResponseRedirect(default_storage.url(name), headers={"Cache-Control": "no-store"})
    except FileNotFoundError as error:
        logger.error("The index lists %s, but the storage does not have it.", name)
        raise Http404 from error


def _content(request: HttpRequest, path: Path, sha256: str) -> HttpResponseBase:
    """Return a file of this machine, or the part of it that was asked for."""
    size = path.stat().st_size
    part = _part(request, size, sha256)
    if part is None:
        return _described(FileResponse(path.open("rb")), size)
    if not part:
        return HttpResponse(status=416, headers={"Content-Range": f"bytes */{size}"})
    response = FileResponse(SlicedFile(path.open("rb"), part.start, part.stop - 1), status=206)
    response.headers["Content-Range"] = f"bytes {part.start}-{part.stop - 1}/{size}"
    return _described(response, len(part))


def _described(response: HttpResponseBase, length: int) -> HttpResponseBase:
    """Give an answer the headers that all of a file's answers share."""
    response.headers["Content-Type"] = "application/octet-stream"
    response.headers["Content-Length"] = str(length)
    response.headers["Accept-Ranges"] = "bytes"
    # Django's FileResponse adds it to some of its answers; the URL ends in the file's name anyway.
    del response.headers["Content-Disposition"]
    return response


def _part(request: HttpRequest, size: int, sha256: str) -> range | None:
    """Return which bytes are asked for, none if the file ends before them; None for the whole file.

    Several ranges at once, and what is no range, may be ignored (RFC 9110, 14.2).
    """
    wanted = _RANGE.fullmatch(request.headers.get("Range", "").strip())
    if not wanted or request.headers.get("If-Range", f'"{sha256}"') != f'"{sha256}"':
        return None
    first, last = wanted.groups()
    if first and last and int(last) < int(first):
        return None
    if first:
        return range(int(first), min(int(last or size) + 1, size))
    return range(max(size - int(last), 0), size) if last else None
