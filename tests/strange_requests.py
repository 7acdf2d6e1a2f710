"""Requests that no client should send, drawn by Hypothesis: the site's addresses with odd parts, odd headers.

A request is what goes over the wire, byte by byte, so that the same ones can be put to Django alone and to
the servers before it.
"""

from dataclasses import dataclass
from urllib.parse import quote, unquote_to_bytes

from hypothesis import strategies as st

# Every kind of address of the site; each hole takes a part.
ROUTES = (
    "/", "/{}", "/simple", "/simple/", "/simple/{}", "/simple/{}/", "/simple/{}/{}.whl",
    "/simple/{}/{}.whl.metadata", "/simple/{}/{}", "/simple//{}/", "//simple/{}/", "/simple/{}//",
    "/simple/{}/index.html", "/project/{}/index.html", "/project/{}/json/index.json",
    "/simple-platform", "/simple-platform/{}/", "/simple-full/", "/simple-full/{}/", "/{}/simple/",
    "/trixie/simple/{}/", "/{}/simple/{}/", "/project/{}", "/project/{}/", "/project/{}/json",
    "/project/{}/json/", "/stats.html", "/stats/{}.csv", "/stats/{}.json",
    "/builds/{}/", "/builds/{}/json", "/builds/{}/log",
    "/builds/{}/provenance/{}.json", "/healthz", "/healthz/{}", "/static/{}", "/admin", "/admin/",
    "/admin/{}/", "/admin/login/", "/admin/packages/package/{}/change/", "/admin/jsi18n/",
    "/admin/second-factor/",
    "/api/v1/{}", "/api/v1/{}?limit={}&after={}", "/api/v1/packages/{}", "/api/v1/packages/{}/versions",
    "/api/v1/builds/{}", "/api/v1/builds/{}/log", "/api/v1/wheels/{}", "/api/v1/queue/{}",
    "/api/v1/explain/{}", "/api/v1/check", "/api/v1/docs", "/api/{}",
    "/check/", "/check/request", "/api/v1/requests", "/api/v1/bundles", "/api/v1/bundles/{}",
    "/readyz", "/metrics", "/metrics/{}",
    "/api/v1/operators/farm", "/api/v1/operators/builders", "/api/v1/operators/{}",
    "/bundle/", "/bundle/{}", "/bundle/{}/", "/bundle/{}/{}",
    "/builder/v1/hello", "/builder/v1/{}", "/builder/v1/builds/{}/{}/claim",
    "/builder/v1/builds/{}/heartbeat", "/builder/v1/builds/{}/wheels/{}", "/builder/v1/builds/{}/report",
)  # fmt: skip
# Half of all requests have the method that an address is for.
METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND")

# What a part of an address may be, already as it is written in one.  What there is ...
_KNOWN = ("demo", "1000", "1", "demo-1.0-py3-none-any", "demo-2.0-py3-none-any.whl")
# ... and what there is not: other spellings, the ends of every integer, ways up, ends of strings, half
# characters, all that is too long.
_PARTS = (
    *("Demo", "de.mo", "demo-1.0-py3-none-any.whl", "none", "simple", "admin", "0", "-1", "2147483648"),
    *("9223372036854775807", "9223372036854775808", "1" * 400, "1e5", "%D9%A3", "..", ".", "%2e%2e", "%2F"),
    *(
        "..%2f..%2fetc%2fpasswd",
        "%5c",
        "\\",
        "~",
        ";a=b",
        "a%0d%0aSet-Cookie:%20a=b",
        "%00",
        "demo%00",
        "%ff",
    ),
    *("%C0%AF", "%ED%A0%80", "%F0%9F%90%8D", "%E2%80%AE", "%", "%zz", "%u0041", "x" * 255, "x" * 4000),
    *("%41" * 300, "'%20OR%201=1--", "%3Cscript%3E", "{{7*7}}", "index.html", ".lock", "index.v1_json"),
    *("index.html.gz", ".index.html.new", "_", "-", "a--b", "%20", "+", "a%20b", "*", "?", "%3F"),
)
# Characters that may stand in a request's first line, though they should not.
_VISIBLE = st.characters(min_codepoint=0x21, max_codepoint=0xFF, exclude_characters="#")
_ESCAPED = st.binary(max_size=12).map(lambda some: quote(some, safe=""))
parts = st.one_of(
    st.sampled_from(_KNOWN),
    st.sampled_from(_KNOWN),
    st.sampled_from(_PARTS),
    st.text(_VISIBLE, max_size=12),
    _ESCAPED,
)

_PAGES = ("page", "p", "format", "log", "next", "q", "_changelist_filters", "_popup", "")
_VALUES = st.one_of(
    st.sampled_from(
        (
            *("application/vnd.pypi.simple.v1+json", "text/html", "json", "1", "-1", "99999999999999999999"),
            *("last", "1.5", "%00", "%ff", "//evil.test/", "http://evil.test/", "%0d%0a", "x" * 3000),
        )
    ),
    parts,
)
_FIELDS = st.tuples(st.sampled_from(_PAGES), _VALUES).map("=".join)
queries = st.one_of(
    st.just(""),
    st.lists(_FIELDS, max_size=6).map("&".join),
    st.text(_VISIBLE, max_size=40),
    # Django takes a thousand fields.
    st.integers(0, 1500).map(lambda count: "&".join(["format=json"] * count)[:12_000]),
)

_HEADERS: dict[str, tuple[str, ...]] = {
    "Accept": (
        *("", "*/*", "text/html", "application/vnd.pypi.simple.v1+json", "*", "/", "a/b/c", ",,,", ";;;"),
        *("text/html;q=", "text/html;q=2", "text/html;q=-1", "text/html;q=nan", "text/html;q=1e400"),
        *("application/vnd.pypi.simple.v1+json;q=0.9;x=\"", "text/html," * 800, "a" * 8000, "*/*;q=0"),
    ),
    "Accept-Encoding": ("", "gzip", "gzip;q=0", "*;q=0", "identity;q=0", "gzip;q=x", "br" * 2000, "\xff"),
    "Range": (
        *("bytes=0-", "bytes=-1", "bytes=-0", "bytes=5-2", "bytes=0-0,2-3", "bytes=", "bytes=-", "lines=1-2"),
        *("bytes=" + "9" * 5000 + "-", "bytes=0-" + "9" * 5000, "bytes=" + "0-1," * 1000, "bytes=٣-", "0-1"),
    ),
    "If-Range": ("", '"x"', "W/", "Thu, 01 Jan 1970 00:00:00 GMT", '"' * 3000),
    "If-None-Match": ("*", '"x"', "W/", '"', "x", '"a",' * 900, '""', "\xe9"),
    "If-Match": ("*", '"x"', "W/", '"', "x"),
    "If-Modified-Since": (
        *("Thu, 01 Jan 1970 00:00:00 GMT", "Thu, 01 Jan 0000 00:00:00 GMT", "Thu, 99 Foo 9999 99:99:99 GMT"),
        *("Fri, 31 Dec 9999 23:59:59 GMT", "Thu, 31 Feb 2026 00:00:00 GMT", "0", "x" * 3000),
    ),
    "If-Unmodified-Since": ("Thu, 01 Jan 1970 00:00:00 GMT", "Sun, 06-Nov-00 08:49:37 GMT", "x"),
    "Host": ("evil.test", "[::1", "a b", "127.0.0.1:99999", "127.0.0.1:x", "%00", "-", "x" * 3000, "é"),
    "Cookie": ("sessionid=x", "csrftoken=" + "a" * 32, "=;=;", "sessionid=\xff", "a=" + "b" * 7000),
    "Authorization": ("Bearer", "Bearer  ", "Bearer x", "bearer \xff", "Basic Og==", "Basic x", "x" * 4000),
    "X-Forwarded-For": ("1.2.3.4", "::1", "x", "1.2.3.4," * 500, "'"),
    "X-Forwarded-Proto": ("https", "x"),
    "X-Forwarded-Host": ("evil.test", "a b"),
    "Content-Type": (
        *("", "application/json", "multipart/form-data", "multipart/form-data; boundary=", "a; charset=x"),
    ),
    "User-Agent": ("", "pip/26.3 {", "pip/26.3 {}", 'pip/26.3 {"installer":1}', "uv/x {[]}", "\xff"),
    "Referer": ("x", "http://evil.test/", "\xff"),
    "Upload-Offset": ("0", "-1", "x", "9" * 18, "9" * 30, "٣"),
    "Upload-Length": ("0", "10", "-1", "x", "9" * 18),
    "Upload-Sha256": ("", "0" * 64, "../../x", "\xff", "x" * 4000),
    "Report-Length": ("0", "1", "-1", "x", "9" * 18, "9" * 30),
    "Next-For": ("", "x", "\xff", "x" * 4000),
    "X-Requested-With": ("XMLHttpRequest",),
}  # fmt: skip
_NAMES = st.sampled_from(sorted(_HEADERS))
_LATIN = st.text(
    st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_characters="\x7f"), max_size=30
)
headers = st.dictionaries(_NAMES, st.none(), max_size=5).flatmap(
    lambda chosen: st.fixed_dictionaries(
        {name: st.one_of(st.sampled_from(_HEADERS[name]), _LATIN) for name in chosen}
    )
)
bodies = st.one_of(
    st.just(b""),
    st.binary(max_size=60),
    st.sampled_from(
        (b"{}", b"[" * 5000, b"null", b'{"contract":2}', b'{"contract":' + b"9" * 5000 + b"}", b"\xff")
    ),
)


@dataclass(frozen=True)
class Request:
    """A request as it is written."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes

    @property
    def target(self) -> str:
        """What the first line asks for."""
        return f"{self.path}?{self.query}" if self.query else self.path

    @property
    def environ(self) -> dict[str, str]:
        """What a WSGI server makes of the target (PEP 3333)."""
        path, _, query = self.target.partition("?")
        return {
            "PATH_INFO": unquote_to_bytes(path.encode("latin-1")).decode("latin-1"),
            "QUERY_STRING": query,
        }

    def bytes(self, host: str) -> bytes:
        """Return what goes over the wire."""
        told = {"Host": host, **self.headers, "Connection": "close", "Content-Length": str(len(self.body))}
        lines = [
            f"{self.method} {self.target} HTTP/1.1",
            *(f"{name}: {value}" for name, value in told.items()),
        ]
        return "\r\n".join([*lines, "", ""]).encode("latin-1", "replace") + self.body


def requests(secrets: tuple[str, ...] = ()) -> st.SearchStrategy[Request]:
    """Draw requests, most of those of builders with one of these tokens or tickets."""
    return st.sampled_from(ROUTES).flatmap(lambda route: _requests(route, secrets))


def _requests(route: str, secrets: tuple[str, ...]) -> st.SearchStrategy[Request]:
    """Draw requests of one kind of address."""
    is_builders = route.startswith("/builder/")
    usual = ("PATCH" if "/wheels/" in route else "POST") if is_builders else "GET"
    told = headers
    if is_builders and secrets:
        bearer = st.sampled_from(secrets).map(lambda secret: {"Authorization": f"Bearer {secret}"})
        told = st.one_of(headers, *[st.tuples(headers, bearer).map(lambda both: both[0] | both[1])] * 3)
    return st.builds(
        Request,
        st.one_of(st.just(usual), st.sampled_from(METHODS)),
        st.tuples(*[parts] * route.count("{}")).map(lambda filled: route.format(*filled)),
        queries,
        told,
        bodies,
    )
