"""Settings of the site, read from the environment; each name is explained once, here.

Without any setting the farm is embedded: SQLite, a private Redis on a Unix socket and files, all below
`PIWHEELS_VAR`.  `DATABASE_URL`, `REDIS_URL` and `PIWHEELS_STORAGE` switch each of them to the real thing.

Instead of NAME, NAME_FILE may name a file that holds the value, so that no secret is in an environment.
"""

import os
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import environ
from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured
from django.core.management.utils import get_random_secret_key
from environ.fileaware_mapping import FileAwareMapping
from pypi_simple import PYPI_SIMPLE_ENDPOINT

from builder.contract import SANDBOX_LEVELS

BASE_DIR = Path(__file__).resolve().parent.parent


class _Files(FileAwareMapping):  # type: ignore[misc]  # it has no types
    """The environment, and the files that it names; the end of a file's last line is no part of a secret."""

    def __getitem__(self, name: str) -> str:
        return str(super().__getitem__(name)).rstrip("\r\n")


class _Env(environ.Env):  # type: ignore[misc]  # it has no types
    """Reads settings from these."""

    ENVIRON = _Files()


env = _Env()

# --- Where things are -------------------------------------------------------------------------------

# The folder of everything that the embedded farm keeps; each part of it can be moved by its own setting.
VAR = Path(env("PIWHEELS_VAR", default=str(BASE_DIR / "var"))).resolve()
VAR.mkdir(parents=True, exist_ok=True)

DATABASES = {"default": env.db("DATABASE_URL", default=f"sqlite:///{VAR / 'piwheels.sqlite3'}")}
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    # IMMEDIATE takes the write lock when a transaction begins.  Without it, two writers that read first
    # fail with "database is locked" (4,405 times in 12 s with 6 writers, as against 0).
    # FULL syncs each commit.  With NORMAL a power cut takes back commits of which builders were told already,
    # and a wheel whose row is forgotten is built again with other bytes under the same name.
    DATABASES["default"]["OPTIONS"] = {
        "timeout": 20,
        "transaction_mode": "IMMEDIATE",
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;",
    }
    # Django would test in memory, where a lock is an error at once and nobody waits for it.
    DATABASES["default"]["TEST"] = {"NAME": str(VAR / "test.sqlite3")}
else:
    DATABASES["default"]["CONN_MAX_AGE"] = 600
    DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
    # A machine that is gone says nothing: without these, each thread waits two minutes to reach it, and a
    # quarter of an hour on a connection that it has.
    DATABASES["default"]["OPTIONS"] = {
        "connect_timeout": 5,
        "tcp_user_timeout": 30_000,
        **DATABASES["default"].get("OPTIONS", {}),
    }

# The server's own Celery tasks travel here ...
REDIS_URL = env("REDIS_URL", default=f"redis+socket://{VAR / 'redis.sock'}")
# ... and the orders to builders here, which may be another server or another user of the same.
PIWHEELS_ORDERS_URL = env("PIWHEELS_ORDERS_URL", default=REDIS_URL)
# The same Redis for whoever enrols and retires builders, as a user that may make and remove others; as
# redis-py has it: redis://, rediss:// or unix://.  Empty: the operator writes their lines into its ACL file.
PIWHEELS_REDIS_ADMIN_URL = env("PIWHEELS_REDIS_ADMIN_URL", default="")

# Where wheels and finished logs live: a folder, or `s3://bucket` (keys come from the environment, as
# boto3 reads it; AWS_ENDPOINT_URL_S3 names a server other than Amazon's).
PIWHEELS_STORAGE = env("PIWHEELS_STORAGE", default=str(VAR / "files"))
# Uploads that are not whole yet, and logs of builds that are not over.  A folder that web server and
# workers share.
PIWHEELS_INCOMING = Path(env("PIWHEELS_INCOMING", default=str(VAR / "incoming")))
# Another such place, which has what is not in PIWHEELS_STORAGE (yet): files are read from both, and
# `manage.py move_storage` brings all of them into PIWHEELS_STORAGE.  Empty: none.
PIWHEELS_STORAGE_BEFORE = env("PIWHEELS_STORAGE_BEFORE", default="")
# The published index: pages, and links to the wheels in the storage.  A folder that web server and every
# worker share, best on the storage's file system.
PIWHEELS_PUBLIC = Path(env("PIWHEELS_PUBLIC", default=str(VAR / "public")))
# Where the storage's files can be had without us, as https://files.example.org/ in front of a bucket; empty:
# from the index itself.
PIWHEELS_FILES_URL = env("PIWHEELS_FILES_URL", default="")
if PIWHEELS_FILES_URL:
    if (
        urlsplit(PIWHEELS_FILES_URL).scheme not in ("http", "https")
        or not urlsplit(PIWHEELS_FILES_URL).netloc
    ):
        raise ImproperlyConfigured("PIWHEELS_FILES_URL must be an address, as https://files.example.org/.")
    # While files move, a page cannot know where each of them is; the index itself does.
    PIWHEELS_FILES_URL = "" if PIWHEELS_STORAGE_BEFORE else PIWHEELS_FILES_URL.rstrip("/") + "/"
# Whether to publish /simple-full/ too, which has upstream's files beside ours.  Off spares disk: a page there
# has all of upstream's files of each package that we have a wheel of.
PIWHEELS_FULL_INDEX = env.bool("PIWHEELS_FULL_INDEX", default=True)


def _storage(place: str) -> dict[str, object]:
    """Return a place for files as Django's STORAGES has it."""
    if not place.startswith("s3://"):
        return {"BACKEND": "builds.files.storage.WholeFileStorage", "OPTIONS": {"location": place}}
    bucket = urlsplit(place)
    options = {"bucket_name": bucket.netloc, "location": bucket.path.strip("/")}
    return {"BACKEND": "builds.files.bucket.Bucket", "OPTIONS": options}


_wheels = _storage(PIWHEELS_STORAGE)
if PIWHEELS_STORAGE_BEFORE:
    _wheels = {
        "BACKEND": "builds.files.moving.MovingStorage",
        "OPTIONS": {"new": _wheels, "before": _storage(PIWHEELS_STORAGE_BEFORE)},
    }
STORAGES = {
    "default": _wheels,
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}

# --- What the farm follows and how it builds --------------------------------------------------------

# The simple API of the index that we follow; the addresses of its other APIs are derived from it.
PIWHEELS_PYPI = env("PIWHEELS_PYPI", default=PYPI_SIMPLE_ENDPOINT).rstrip("/") + "/"
# The packages to follow, separated by spaces; `all` means everything that upstream has.
PIWHEELS_WATCH = env("PIWHEELS_WATCH", default="").split()
# How many of each package's newest versions to build; 0 builds the whole history.
PIWHEELS_DEPTH = env.int("PIWHEELS_DEPTH", default=0)
# How often to read upstream's journal of changes, in seconds.
PIWHEELS_POLL_S = env.float("PIWHEELS_POLL_S", default=30.0)
# How many questions to ask of upstream at a time; its people want no more than 10.
PIWHEELS_FETCHERS = env.int("PIWHEELS_FETCHERS", default=4)
if not 1 <= PIWHEELS_FETCHERS <= 10:
    raise ImproperlyConfigured("PIWHEELS_FETCHERS must be a number from 1 to 10.")
# How often to look at a followed package while upstream's journal tells what changes, in seconds.  Not all
# changes are in it; 30 days of all of PyPI are one question in four seconds.
PIWHEELS_RESCAN_S = env.int("PIWHEELS_RESCAN_S", default=30 * 86400)
# How often to look at a followed package where upstream has no journal, in seconds.
PIWHEELS_REFRESH_S = env.int("PIWHEELS_REFRESH_S", default=300)
# How long a build may take on the builder, in seconds.  The longest known honest ones take 3 hours.
PIWHEELS_TIME_LIMIT_S = env.int("PIWHEELS_TIME_LIMIT_S", default=3 * 3600)
# How long a builder may take from the ring to its claim, in seconds (as in Koji: AssignTimeout).
PIWHEELS_CLAIM_S = env.int("PIWHEELS_CLAIM_S", default=300)
# How long a builder may be silent before its build counts as lost, in seconds (as in Koji: HostTimeout);
# 15 minutes let a build live through a router's restart.
PIWHEELS_LEASE_S = env.int("PIWHEELS_LEASE_S", default=900)
# The lowest level of sandbox that a builder may build at: "full", "box" or "bare" (docs/builders.md).
PIWHEELS_SANDBOX = env("PIWHEELS_SANDBOX", default="box")
if PIWHEELS_SANDBOX not in SANDBOX_LEVELS:
    raise ImproperlyConfigured(f"PIWHEELS_SANDBOX must be one of {', '.join(SANDBOX_LEVELS)}.")
# What takes less than this is built twice, to tell whether its bytes are the same again; in seconds, 0 never.
PIWHEELS_REBUILD_UNDER_S = env.float("PIWHEELS_REBUILD_UNDER_S", default=30.0)
# The most memory that a build may use, in bytes, where no recipe says otherwise; 0 leaves it to its builder.
PIWHEELS_BUILD_MEMORY_BYTES = env.int("PIWHEELS_BUILD_MEMORY_BYTES", default=0)
# The address of this farm's own index as builders reach it, where build dependencies come from too: what
# upstream has no wheel of is then not compiled for each build that wants it.  Empty for none, as nothing here
# knows what builders call this site; deploy/server-setup and `make run` do, and set it.
PIWHEELS_BUILDERS_INDEX = env("PIWHEELS_BUILDERS_INDEX", default="")
# The sparse index of a registry of Rust's crates, as https://index.example.org/, for the many packages with
# parts in Rust; empty for none, and those packages fail for want of their crates.
PIWHEELS_CRATES = env("PIWHEELS_CRATES", default="")
# How long the first new attempt waits after one that was lost, or failed by a fault that was not the
# package's, in seconds; the second waits ten times as long, the third sixty times.
PIWHEELS_RETRY_S = env.float("PIWHEELS_RETRY_S", default=60.0)
# The largest wheel that a builder may upload, in bytes.
PIWHEELS_MAX_WHEEL_BYTES = env.int("PIWHEELS_MAX_WHEEL_BYTES", default=1 << 30)

# Whether this site's own processes count downloads and look-ups in vain; no, where the log of a web server in
# front of them is followed (`manage.py follow_downloads`), which would count them again.
PIWHEELS_COUNT_DOWNLOADS = env.bool("PIWHEELS_COUNT_DOWNLOADS", default=True)
# How many days to keep each single download, without anybody's address; the sums by day and month stay.
PIWHEELS_RAW_DOWNLOADS_DAYS = env.int("PIWHEELS_RAW_DOWNLOADS_DAYS", default=7)
if PIWHEELS_RAW_DOWNLOADS_DAYS < 2:
    raise ImproperlyConfigured(
        "PIWHEELS_RAW_DOWNLOADS_DAYS must be 2 or more: today and yesterday count once."
    )

# How many builds one client may ask for on a day (UTC), by the page of a package; 0 takes no requests.
PIWHEELS_REQUESTS_A_DAY = env.int("PIWHEELS_REQUESTS_A_DAY", default=20)
# How many names that are not followed all clients together may have looked up on a day.
PIWHEELS_REQUESTED_NAMES_A_DAY = env.int("PIWHEELS_REQUESTED_NAMES_A_DAY", default=500)
# As how many looks in vain by pip a request counts in the order of the queue.
PIWHEELS_REQUEST_WEIGHT = env.int("PIWHEELS_REQUEST_WEIGHT", default=10)
# How much one client may ask of the API in a minute, of each process of the site; 0 is as much as it likes.
# A check of a file counts as ten requests, an explanation as five, a part of a log as two.
PIWHEELS_API_A_MINUTE = env.int("PIWHEELS_API_A_MINUTE", default=120)
# How many bundles one client may ask for on a day (UTC); 0 makes none.
PIWHEELS_BUNDLES_A_DAY = env.int("PIWHEELS_BUNDLES_A_DAY", default=10)
# Where bundles are made and kept, and the wheels of upstream's that they have.  A folder that web server and
# workers share.
PIWHEELS_BUNDLES = Path(env("PIWHEELS_BUNDLES", default=str(VAR / "bundles")))
# How many are made at a time; each takes a thread of a worker's.
PIWHEELS_BUNDLES_AT_ONCE = env.int("PIWHEELS_BUNDLES_AT_ONCE", default=1)
# The most wheels in one, the most bytes of them, and how long making one may take, in seconds.
PIWHEELS_BUNDLE_PACKAGES = env.int("PIWHEELS_BUNDLE_PACKAGES", default=300)
PIWHEELS_BUNDLE_BYTES = env.int("PIWHEELS_BUNDLE_BYTES", default=5 << 30)
PIWHEELS_BUNDLE_S = env.float("PIWHEELS_BUNDLE_S", default=1800)
# How long one can be downloaded, in seconds, and how many bytes all of them may have, with their wheels.
PIWHEELS_BUNDLES_KEPT_S = env.float("PIWHEELS_BUNDLES_KEPT_S", default=86400)
PIWHEELS_BUNDLES_BYTES = env.int("PIWHEELS_BUNDLES_BYTES", default=20 << 30)
# Whether a web server in front says in X-Forwarded-For who asks; where none does, nobody is believed.
PIWHEELS_BEHIND_PROXY = env.bool("PIWHEELS_BEHIND_PROXY", default=False)

# --- Whom the farm tells what -------------------------------------------------------------------------

# Who gets a mail when something needs a person, separated by spaces or commas; empty: nobody.
PIWHEELS_ALERT_MAIL = env("PIWHEELS_ALERT_MAIL", default="").replace(",", " ").split()
# From whom it comes, and who carries it: smtp://host:25, or smtp+tls://user:password@host:587.
PIWHEELS_MAIL_FROM = env("PIWHEELS_MAIL_FROM", default="piwheels@localhost")
_mail = env.email_url("EMAIL_URL", default="smtp://localhost:25")
EMAIL_BACKEND = _mail["EMAIL_BACKEND"]
EMAIL_HOST, EMAIL_PORT = _mail["EMAIL_HOST"], _mail["EMAIL_PORT"]
EMAIL_HOST_USER, EMAIL_HOST_PASSWORD = _mail["EMAIL_HOST_USER"], _mail["EMAIL_HOST_PASSWORD"]
EMAIL_USE_TLS, EMAIL_USE_SSL = _mail.get("EMAIL_USE_TLS", False), _mail.get("EMAIL_USE_SSL", False)
EMAIL_TIMEOUT = 10
# An address that gets the same as JSON, by POST; empty: none.  With a secret each is signed by it (HMAC).
PIWHEELS_ALERT_WEBHOOK = env("PIWHEELS_ALERT_WEBHOOK", default="")
PIWHEELS_ALERT_WEBHOOK_SECRET = env("PIWHEELS_ALERT_WEBHOOK_SECRET", default="")
# A server of Mastodon, as https://social.example.org, a token of an account there that may write statuses,
# and what that publishes: any of daily, monthly (figures) and alerts.
PIWHEELS_MASTODON = env("PIWHEELS_MASTODON", default="")
PIWHEELS_MASTODON_TOKEN = env("PIWHEELS_MASTODON_TOKEN", default="")
PIWHEELS_MASTODON_POSTS = env("PIWHEELS_MASTODON_POSTS", default="daily monthly").split()
# How many messages about alerts go out in an hour at the most; what is more comes together in the next.
PIWHEELS_ALERTS_AN_HOUR = env.int("PIWHEELS_ALERTS_AN_HOUR", default=6)
# Folders of this machine whose disks are watched beside the farm's own, separated by spaces.
PIWHEELS_WATCH_DISKS = env("PIWHEELS_WATCH_DISKS", default="").split()

# What Prometheus must send as a bearer token to read /metrics.  Empty: only who asks from this very machine,
# with no proxy between, may read it.
PIWHEELS_METRICS_TOKEN = env("PIWHEELS_METRICS_TOKEN", default="")

# --- Django -----------------------------------------------------------------------------------------

SECRET_KEY = env("SECRET_KEY", default="")
if not SECRET_KEY:
    # A key of this farm's own, made once and kept, so that sessions survive a restart.
    _key = VAR / "secret-key"
    if not _key.exists():
        _new = VAR / f"secret-key.{os.getpid()}"
        _new.touch(mode=0o600)
        _new.write_text(get_random_secret_key())
        # Of several processes that start together, the first one's key is everybody's.
        with suppress(FileExistsError):
            _key.hardlink_to(_new)
        _new.unlink()
    SECRET_KEY = _key.read_text()
DEBUG = env.bool("DEBUG", default=False)
# The names that this site answers to, separated by commas.
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["127.0.0.1", "localhost", "[::1]"])
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])
# Where people tell of a wheel that is broken or should not be here: a page, or mailto: and an address.
PIWHEELS_CONTACT = env("PIWHEELS_CONTACT", default="")
if PIWHEELS_CONTACT and not PIWHEELS_CONTACT.startswith(("https://", "http://", "mailto:")):
    raise ImproperlyConfigured(
        "PIWHEELS_CONTACT must be a page, as https://git.example.org/farm/issues, or mailto:farm@example.org."
    )

# Whether all of the site is asked for over HTTPS.  The web server in front then says so in X-Forwarded-Proto,
# and passes on what nobody else says there.
PIWHEELS_HTTPS = env.bool("PIWHEELS_HTTPS", default=False)
# For how many seconds browsers keep to HTTPS once they were here.  None can be called back from that, so the
# owner of the name has to say it; 0 says nothing.
PIWHEELS_HSTS_S = env.int("PIWHEELS_HSTS_S", default=0)
if PIWHEELS_HTTPS:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    SECURE_SSL_REDIRECT = True
    # Whoever watches the farm asks on the machine itself, and is told no secret.
    SECURE_REDIRECT_EXEMPT = [r"^(healthz|readyz|metrics)$"]
    SECURE_HSTS_SECONDS = PIWHEELS_HSTS_S
    # A browser takes cookies of such names over HTTPS and from this very host alone.
    SESSION_COOKIE_NAME, CSRF_COOKIE_NAME = "__Host-sessionid", "__Host-csrftoken"
    SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = True
# Django's advice for deployment that is not ours to follow: what hosts below ours speak, lists of browsers'
# makers, and HSTS where the owner of the name has not said so.
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021"]
if PIWHEELS_HTTPS and not PIWHEELS_HSTS_S:
    SILENCED_SYSTEM_CHECKS.append("security.W004")

INSTALLED_APPS = [
    "piwheels_site",
    "packages",
    "builds",
    "simple",
    "piwheels_site.apps.OperatorsConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django_otp",
    "django_otp.plugins.otp_totp",
    "django_otp.plugins.otp_static",
    "django_htmx",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    # What pip asks for needs nothing of what follows.
    "simple.straight.StraightToIndex",
    "piwheels_site.about_request.AboutRequest",
    "piwheels_site.knocks.KnocksNoted",
    # Pages and logs; with random bytes, so that a length tells nothing of what else is on a page (BREACH).
    "django.middleware.gzip.GZipMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django_otp.middleware.OTPMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "csp.middleware.CSPMiddleware",
    "piwheels_site.costly_pages.CostlyPages",
]
# Nothing on a page comes from anywhere else, and no text that is shown can become a script.
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "connect-src": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
        "base-uri": [NONE],
    }
}
# The URLs end in a slash or not as their readers expect; a view redirects where both are in use.
APPEND_SLASH = False
CACHES = {
    "default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"},
    # What clients have asked for in this minute: its own room, so that many clients throw out no page.
    "limits": {
        "BACKEND": "django.core.cache.backends.locmem.LocMemCache",
        "LOCATION": "limits",
        "OPTIONS": {"MAX_ENTRIES": 20_000},
    },
    # Who failed to sign in: apart from the former, which strangers could fill to have that forgotten.
    "sign-ins": {
        "BACKEND": "django.core.cache.backends.locmem.LocMemCache",
        "LOCATION": "sign-ins",
        "OPTIONS": {"MAX_ENTRIES": 20_000},
    },
}
ROOT_URLCONF = "piwheels_site.urls"
WSGI_APPLICATION = "piwheels_site.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "piwheels_site.context.frame",
            ]
        },
    }
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}", "OPTIONS": options}
    for name, options in {
        "MinimumLengthValidator": {"min_length": 12},
        "CommonPasswordValidator": {},
        "NumericPasswordValidator": {},
        "UserAttributeSimilarityValidator": {},
    }.items()
]
# Whether every operator must sign in with a second factor; if not, those must who have set one up.
PIWHEELS_TWO_FACTOR = env.bool("PIWHEELS_TWO_FACTOR", default=False)
# What an app for codes calls this farm.
OTP_TOTP_ISSUER = "piwheels"
# Who has not signed out is signed out by the next day, in seconds.
SESSION_COOKIE_AGE = 12 * 3600
# Whoever only sees a form gets this one, too: it ends with the browser.
CSRF_COOKIE_AGE = None
STATIC_URL = "static/"
WHITENOISE_USE_FINDERS = True
LANGUAGE_CODE = "en-gb"
USE_I18N = False
TIME_ZONE = "UTC"
# Bodies of builders are streamed by their views; the largest that Django itself reads are forms with a lock
# file of 4 MiB in them.
DATA_UPLOAD_MAX_MEMORY_SIZE = 5 << 20

# How lines of the log are written: "line" for people, "json" for programs, with what each is about.
LOG_FORMAT = env("LOG_FORMAT", default="line")
if LOG_FORMAT not in ("line", "json"):
    raise ImproperlyConfigured('LOG_FORMAT must be "line" or "json".')
LOG_LEVEL = env("LOG_LEVEL", default="INFO")
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {"format": "%(levelname)s %(name)s: %(message)s"},
        "json": {"()": "builder.log_lines.JsonFormatter"},
    },
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": LOG_FORMAT}},
    # That a page is not there is news to nobody: pip asks us for every package that it installs.
    "loggers": {
        "django.request": {"level": "ERROR"},
        # It has a traceback for each agent that it cannot read, and anybody may send those.
        "linehaul": {"level": "CRITICAL"},
        # Four lines for each build: to follow one by a search, not by reading.
        "piwheels.way": {"level": LOG_LEVEL if LOG_FORMAT == "json" else "WARNING"},
    },
    "root": {"handlers": ["stderr"], "level": LOG_LEVEL},
}
