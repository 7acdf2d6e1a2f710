"""Asks the production stack as the tests' own client asks Django: nginx, gunicorn, and what tests wrote."""

import http.client
import json
from contextlib import contextmanager, nullcontext
from http.cookies import SimpleCookie
from urllib.parse import urlsplit

from simple.models import Shown


class Answer:
    """An answer from the network, which reads as one of Django's."""

    def __init__(self, answer, content):
        self.status_code = answer.status
        self.headers = answer.msg
        self.content = content
        self.redirect_chain = []
        self.cookies = SimpleCookie(answer.msg.get("Set-Cookie", ""))

    def __getitem__(self, name):
        return ", ".join(self.headers.get_all(name) or []) or self._missing(name)

    def __contains__(self, name):
        return name in self.headers

    def get(self, name, default=None):
        return self.headers.get(name, default)

    def items(self):
        # Of no answer's meaning, and another one each second.
        return [(name, value) for name, value in self.headers.items() if name != "Date"]

    def json(self):
        return json.loads(self.content)

    def getvalue(self):
        return self.content

    def _missing(self, name):
        raise KeyError(name)


class Reader:
    """Sends what it is told to as it is: no address is put right and no redirect followed."""

    reads_tree = True
    is_nginx = True

    def __init__(self, stack, publish):
        self._stack = stack
        self._address = urlsplit(stack.nginx.url)
        self._publish = publish
        self.cookies = SimpleCookie()

    @contextmanager
    def quiet(self):
        """Publish now, and nothing meanwhile."""
        self._publish()
        before, self._publish = self._publish, lambda: None
        yield
        self._publish = before

    @contextmanager
    def costing(self, queries):
        """Have answers that elsewhere take queries come while whoever could ask the database stands still."""
        with self.quiet(), self._stack.frozen_web() if queries else nullcontext():
            yield

    def outlast_readers(self):
        """Have the time pass for which a file stays that a page listed just now."""
        self._publish()
        self._publish(after=Shown.LINGER * 2)

    def get(self, path, data=None, headers=None, *, follow=False):
        answer = self._ask("GET", path, headers)
        if not follow or answer.status_code not in (301, 302):
            return answer
        last = self.get(answer["Location"], headers=headers, follow=True)
        last.redirect_chain.insert(0, (answer["Location"], answer.status_code))
        return last

    def head(self, path, headers=None):
        return self._ask("HEAD", path, headers)

    def options(self, path, headers=None):
        return self._ask("OPTIONS", path, headers)

    def post(self, path, headers=None):
        return self._ask("POST", path, headers)

    def put(self, path, headers=None):
        return self._ask("PUT", path, headers)

    def delete(self, path, headers=None):
        return self._ask("DELETE", path, headers)

    def patch(self, path, headers=None):
        return self._ask("PATCH", path, headers)

    def _ask(self, method, path, headers):
        self._publish()
        cookies = "; ".join(f"{name}={morsel.value}" for name, morsel in self.cookies.items())
        headers = {**(headers or {}), **({"Cookie": cookies} if cookies else {})}
        connection = http.client.HTTPConnection(self._address.hostname, self._address.port, timeout=60)
        try:
            connection.putrequest(method, path, skip_accept_encoding=True)
            for name, value in headers.items():
                connection.putheader(name, value)
            connection.endheaders()
            answer = connection.getresponse()
            return Answer(answer, answer.read())
        finally:
            connection.close()
