"""Makes lines of logs, as nginx and Apache write them."""

import json

PIP = (
    'pip/23.0.1 {"ci":null,"cpu":"armv7l","distro":{"id":"bookworm","libc":{"lib":"glibc","version":"2.36"},'
    '"name":"Raspbian GNU/Linux","version":"12"},"implementation":{"name":"CPython","version":"3.11.2"},'
    '"installer":{"name":"pip","version":"23.0.1"},"openssl_version":"OpenSSL 3.0.15 3 Sep 2024",'
    '"python":"3.11.2","setuptools_version":"66.1.1","system":{"name":"Linux","release":"6.6.51+rpt-rpi-v7"}}'
)
UV = (
    'uv/0.5.1 {"installer":{"name":"uv","version":"0.5.1"},"python":"3.13.0","implementation":'
    '{"name":"CPython","version":"3.13.0"},"distro":{"name":"Ubuntu","version":"24.04","id":"noble",'
    '"libc":{"lib":"glibc","version":"2.39"}},"system":{"name":"Linux","release":"6.8.0"},"cpu":"arm64",'
    '"openssl_version":null,"setuptools_version":null,"rustc_version":null,"ci":true}'
)
WHEEL = "/simple/demo/demo-1.0-cp313-cp313-linux_armv6l.linux_armv7l.whl"


def nginx(uri=WHEEL, **fields):
    """Return a line of `deploy/nginx/log-format.conf`."""
    line = {
        "time": "2026-11-20T12:34:56+00:00",
        "msec": "1795178096.123",
        "method": "GET",
        "uri": uri,
        "status": "200",
        "bytes": "1234",
        "agent": PIP,
        "address": "192.0.2.1",
        "range": "",
        "request_id": "0123456789abcdef0123456789abcdef",
        **fields,
    }
    return json.dumps(line, separators=(",", ":")).encode() + b"\n"


def apache(uri=WHEEL, *, method="GET", status=200, agent=PIP, address="192.0.2.1"):
    """Return a line in the combined format."""
    agent = agent.replace('"', '\\"')
    head = f'{address} - - [20/Nov/2026:13:34:56 +0100] "{method} {uri} HTTP/1.1" {status} 1234'
    return f'{head} "-" "{agent}"\n'.encode()
