"""Serves stored files: whole, in part (RFC 9110, 14), or not at all because the client has them.

Which file a URL means is decided elsewhere; here is only what a storage and a request make of it.
"""

import logging
import os
import re
from pathlib import Path
from typing import BinaryIO

from django.core.files.storage import default_storage
from django.http import FileResponse, Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.utils.cache import get_conditional_response
from django.utils.http import http_date
from django.views.decorators.http import condition
from whitenoise.responders import SlicedFile  # type: ignore[import-untyped]

from simple.tree import Published

logger = logging.getLogger(__name__)

# A larger page is not read into memory: the list of a million names.
_IN_MEMORY = 4 << 20

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
        return _content(request, Path(default_storage.path(name)).open("rb"), f'"{sha256}"')
    except NotImplementedError:
        return HttpResponseRedirect(default_storage.url(name), headers={"Cache-Control": "no-store"})
    except FileNotFoundError as error:
        logger.error("The index lists %s, but the storage does not have it.", name)
        raise Http404 from error


def serve_published(request: HttpRequest, published: Published) -> HttpResponseBase:
    """Answer GET and HEAD for a file of the published tree, which is open."""
    if answer := _known(request, published):
        return answer
    if request.method == "HEAD":
        published.file.close()
        return _validated(_described(HttpResponse(), published.size), published)
    return _validated(_content(request, published.file, published.etag), published)


def serve_page(request: HttpRequest, published: Published, content_type: str) -> HttpResponseBase:
    """Answer GET and HEAD for a page of the published tree, which is open."""
    if answer := _known(request, published):
        return answer
    response: HttpResponseBase
    if request.method == "HEAD":
        published.file.close()
        response = HttpResponse(headers={"Content-Length": str(published.size)})
    elif published.size > _IN_MEMORY:
        response = FileResponse(published.file, headers={"Content-Length": str(published.size)})
        del response.headers["Content-Disposition"]
    else:
        with published.file as file:
            response = HttpResponse(file.read())
    response.headers["Content-Type"] = content_type
    if published.is_packed:
        response.headers["Content-Encoding"] = "gzip"
    return _validated(response, published)


def _known(request: HttpRequest, published: Published) -> HttpResponseBase | None:
    """Return the answer to whoever has the file already, or wants another; None if it is to be served."""
    answer = get_conditional_response(request, published.etag, published.modified)
    if answer is None:
        return None
    published.file.close()
    return _validated(answer, published)


def _validated(response: HttpResponseBase, published: Published) -> HttpResponseBase:
    """Give an answer the validators of a file, as nginx does."""
    if response.status_code != 416:
        response.headers["ETag"] = published.etag
        response.headers["Last-Modified"] = http_date(published.modified)
    return response


def _content(request: HttpRequest, file: BinaryIO, etag: str) -> HttpResponseBase:
    """Return a file of this machine, or the part of it that was asked for."""
    size = os.fstat(file.fileno()).st_size
    part = _part(request, size, etag)
    if part is None:
        return _described(FileResponse(file), size)
    if not part:
        file.close()
        return HttpResponse(status=416, headers={"Content-Range": f"bytes */{size}"})
    response = FileResponse(SlicedFile(file, part.start, part.stop - 1), status=206)
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


def _part(request: HttpRequest, size: int, etag: str) -> range | None:
    """Return which bytes are asked for, none if the file ends before them; None for the whole file.

    Several ranges at once, and what is no range, may be ignored (RFC 9110, 14.2).
    """
    wanted = _RANGE.fullmatch(request.headers.get("Range", "").strip())
    if not wanted or request.headers.get("If-Range", etag) != etag:
        return None
    first, last = wanted.groups()
    if first and last and int(last) < int(first):
        return None
    if first:
        return range(int(first), min(int(last or size) + 1, size))
    return range(max(size - int(last), 0), size) if last else None
