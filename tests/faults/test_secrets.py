"""No secret of a farm is anywhere but where it is kept."""

import base64
import binascii
import hashlib
import re
import secrets
import subprocess
import threading
import time
from contextlib import contextmanager, suppress

import pytest
import requests
from redis import Redis, RedisError

from deploy.scratch import free_port
from tests import services
from tests.chaos import Staffed, world_of
from tests.farm import forgetful_redis
from tests.faults.conftest import CALM
from tests.quick_builders import TICKETS
from tests.site_pages import PAGES
from tests.test_redis_acl import made_of_the_example

pytestmark = [pytest.mark.whole, pytest.mark.faults]

# Nobody listens here, so that no message arrives, and is told of.
NOWHERE = "127.0.0.1:9"


class Secretive(Staffed):
    """A farm with each secret that one can have, as `secrets`; those of builders come with these."""

    def __init__(self, folder, upstream, size):
        super().__init__(folder, upstream, size)
        kinds = ("database", "server", "orders", "admin", "webhook", "signs", "mastodon", "metrics", "mail")
        self.secrets = {kind: secrets.token_hex(20) for kind in kinds}
        self._redis = f"127.0.0.1:{free_port()}/0"
        self.users = {
            kind: self.redis_url(kind, self.secrets[kind]) for kind in ("server", "orders", "admin")
        }
        self.env |= {
            "DATABASE_URL": self.postgres.url.replace("@", f":{self.secrets['database']}@"),
            "REDIS_URL": self.users["server"],
            "PIWHEELS_ORDERS_URL": self.users["orders"],
            "PIWHEELS_REDIS_ADMIN_URL": self.users["admin"],
            "PIWHEELS_ALERT_WEBHOOK": f"http://{NOWHERE}/{self.secrets['webhook']}",
            "PIWHEELS_ALERT_WEBHOOK_SECRET": self.secrets["signs"],
            "PIWHEELS_MASTODON": f"http://{NOWHERE}",
            "PIWHEELS_MASTODON_TOKEN": self.secrets["mastodon"],
            "PIWHEELS_METRICS_TOKEN": self.secrets["metrics"],
            "PIWHEELS_ALERT_MAIL": "somebody@example.com",
            "EMAIL_URL": f"smtp://farm:{self.secrets['mail']}@{NOWHERE}",
            "LOG_LEVEL": "INFO",
        }
        (folder / "users.acl").write_text(self._users())

    def redis_url(self, user, password):
        """Return the address of Redis for one of its users."""
        return f"redis://{user}:{password}@{self._redis}"

    def _users(self):
        """Return Redis' users, of which the tests' own may do everything."""
        text = made_of_the_example(forgetful_redis(self.var)[0])
        for kind in ("server", "orders", "admin"):
            digest = hashlib.sha256(self.secrets[kind].encode()).hexdigest()
            text = re.sub(rf"(?m)^(user {kind} on) #\w+", rf"\1 #{digest}", text)
        return text

    def commands(self):
        """Return what it consists of."""
        port = self._redis.partition(":")[2].partition("/")[0]
        own = [*forgetful_redis(self.var), "--port", port, "--aclfile", str(self.var / "users.acl")]
        return super().commands() | {"redis": own}

    def hire(self, name, token, pause_s, **own):
        """Have one more builder, with a token and a user in Redis that its operator has just made."""
        said = self.manage("builder", name, "rekey", "--yes").stdout
        keys = dict(re.findall(r"(token|password) +(\S+)\n", said))
        self.secrets |= {f"{kind} of {name}": key for kind, key in keys.items()}
        own["PIWHEELS_ORDERS_URL"] = self.redis_url(f"b-{name}", keys["password"])
        super().hire(name, keys["token"], pause_s, **own)

    def all_secrets(self):
        """Return each secret, by what it is for; those that the farm has drawn itself, too."""
        files = ("secret-key", "admin-password", "builder-token")
        tickets = (self.var / "work" / TICKETS).read_text().split()
        return (
            self.secrets
            | {name: (self.var / name).read_text().strip() for name in files}
            | {f"ticket {number}": ticket for number, ticket in enumerate(tickets)}
        )


@contextmanager
def redis_is_heard(farm):
    """Hear all that Redis is told; give it, also what is written in base64 in it."""
    heard: list[str] = []
    ended = threading.Event()

    def hear():
        while not ended.is_set():
            try:
                with Redis.from_url(farm.redis_url("operator", "all")).monitor() as monitor:
                    heard.extend(told["command"] for told in monitor.listen())
            except RedisError:
                time.sleep(0.05)

    threading.Thread(target=hear, daemon=True).start()
    farm.wait_until(lambda: heard)
    yield heard
    ended.set()


def decoded(text):
    """Return a text, and what is written in base64 in it."""
    found = [text]
    for written in re.findall(r"[A-Za-z0-9+/]{16,}={0,2}", text):
        with suppress(binascii.Error):
            found.append(base64.b64decode(written).decode("latin-1"))
    return "\n".join(found)


ADMIN = """
import json
from django.contrib import admin
from django.contrib.auth.models import User
from django.test import Client
from django.urls import get_resolver, reverse
get_resolver().url_patterns
client = Client(headers={"host": "127.0.0.1"})
client.force_login(User.objects.get(username="admin"))
paths = ["/admin/"]
for model in admin.site._registry:
    name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
    paths.append(reverse(f"{name}_changelist"))
    if row := model._default_manager.first():
        paths.append(reverse(f"{name}_change", args=[row.pk]))
answers = [client.get(path) for path in paths]
print(json.dumps([(answer.status_code, answer.content.decode()) for answer in answers]))
"""
# One for each way to tell people something.
MESSAGES = """
import json
from packages.clock import database_now
from piwheels_site.models import Message
now = database_now()
for channel in Message.Channel.values:
    Message.objects.create(
        key=f"a-{channel}", channel=channel, subject="Some", text="thing", made_at=now, not_before=now
    )
print(json.dumps(len(Message.Channel.values)))
"""
ATTEMPTS = """
import json
from piwheels_site.models import Message
print(json.dumps(list(Message.objects.exclude(attempts=0).values_list("channel", flat=True))))
"""


def pages(world):
    """Return all that the site shows, to people and to its operators."""
    names = {"package": world.names[0], "prefix": "ki"}
    public = [page for page in PAGES if set(re.findall(r"{(\w+)}", page.path)) <= names.keys()]
    more = ["/healthz", "/readyz", "/farm/now", "/api/v1/farm", "/api/v1/openapi.json", "/packages.json"]
    wanted = [(page.path.format(**names), page.status) for page in public] + [(path, 200) for path in more]
    shown = [requests.get(f"{world.farm.nginx.url}{path}", timeout=20) for path, _ in wanted]
    assert [answer.status_code for answer in shown] == [status for _, status in wanted]
    seen = world.farm.ask(ADMIN)
    assert {status for status, _ in seen} == {200}
    return "\n".join([answer.text for answer in shown] + [text for _, text in seen])


def use(farm, known):
    """Ask with secrets, at the right doors and at wrong ones; return how often one opened."""
    bearers = [known["metrics"], known["of an operator"], known["token of quick-0"], known["ticket 0"]]
    doors = ["/metrics", "/api/v1/operators/farm", "/builder/v1/hello", "/builder/v1/builds/1/report", "/"]
    opened = 0
    for bearer in bearers:
        told = {"Authorization": f"Bearer {bearer}"}
        for door in doors:
            how = requests.post if door.startswith("/builder/") else requests.get
            opened += how(f"{farm.address}{door}", headers=told, data=b"", timeout=20).ok
    with requests.Session() as browser:
        browser.get(f"{farm.address}/admin/login/", timeout=20)
        form = {"csrfmiddlewaretoken": browser.cookies["csrftoken"], "username": "admin"}
        for password in (known["admin-password"], known["secret-key"]):
            sent = {**form, "password": password}
            browser.post(f"{farm.address}/admin/login/", data=sent, timeout=20)
    return opened


def test_T59_no_secret_is_in_a_log_a_page_redis_or_the_database(record_property):
    with world_of(CALM, seed=1, kind=Secretive) as world, redis_is_heard(world.farm) as heard:
        farm = world.farm
        world.begin()
        farm.secrets["of an operator"] = farm.manage("create_operator_token", "admin").stdout.strip()
        known = farm.all_secrets()
        # The home page for everybody, the metrics and the operators' farm for one each.
        assert use(farm, known) == 6
        # What fails is told of in logs.
        channels = farm.ask(MESSAGES)
        for name in ("redis", "postgresql"):
            farm.kill(name)
            for package in world.names:
                world.release(package)
            time.sleep(3)
            farm.bring_back(name)
        farm.wait_until(lambda: len(set(farm.ask(ATTEMPTS))) == channels)
        farm.wait_until(world.is_calm)

        known, shown = farm.all_secrets(), pages(world)
        logs = "".join(path.read_text(errors="replace") for path in farm.var.rglob("*.log"))
        words = [services.postgres_program("pg_dump"), "--format=plain", farm.postgres.url]
        rows = subprocess.run(words, check=True, capture_output=True, text=True).stdout

    places = {"a page": shown, "a log": logs, "Redis": decoded("\n".join(heard)), "the database": rows}
    # Where we would see a secret, we see what belongs there.
    token = hashlib.sha256(known["token of quick-0"].encode()).hexdigest()
    seen = {"a page": "kill0", "a log": "did not arrive", "Redis": "[[1, 1], {}", "the database": token}
    assert [where for where, what in seen.items() if what not in places[where]] == []
    assert len(known) > 20
    assert len(set(known.values())) == len(known)
    assert all(len(secret) > 10 for secret in known.values())
    found = [(what, where) for where, text in places.items() for what, it in known.items() if it in text]
    assert found == []
    record_property("secrets", len(known))
