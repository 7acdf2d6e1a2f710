# shellcheck shell=sh
# What the setup scripts have in common; each of them has set $dry_run before it takes a step.

# What programs say is read below, and not in the language of whoever came by ssh; also PostgreSQL makes its first
# cluster in this locale, which every Debian has.
export LC_ALL=C.UTF-8
# A root who hides what he makes would hide the programs from the services that run them, too; what is secret is
# written with a mode of its own.
umask 022

say() { printf '%s\n' "$*"; }
step() { printf '== %s\n' "$*"; }
fail() { printf '%s: %s\n' "${0##*/}" "$*" >&2; exit 1; }

# Do something, or say so.
run() {
    if $dry_run; then say "   would run: $*"; else "$@"; fi
}

# Write what comes in to the file $1, owned by $2 with mode $3; nobody else can read it, not even for a moment.
write() {
    if $dry_run; then
        say "   would write $1 ($2, $3):"
        # The beginning tells enough, and no secret.
        sed -e 's#\(://[^:/]*:\)[^@]*@#\1...@#' -e 's/^/      /' -e '16,$d'
        return
    fi
    # A name that nobody can have waited for with a link: some of these folders are a service's own.
    new=$(mktemp "$1.XXXXXX")
    cat >"$new"
    chmod "$3" "$new"
    chown -h "$2" "$new"
    mv -T "$new" "$1"
}

installed() { dpkg-query --show --showformat '${db:Status-Status}' "$1" 2>/dev/null | grep -qx installed; }

# Install packages without what they merely recommend.
apt_install() {
    run env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 install -y --no-install-recommends "$@"
}

check_debian() {
    command -v apt-get >/dev/null || fail "This machine has no apt-get: it must run Debian or Raspberry Pi OS."
    $dry_run || [ "$(id -u)" = 0 ] || fail "Only root may set up a machine: run it with sudo."
    # shellcheck source=/dev/null
    say "$(. /etc/os-release && printf '%s' "$PRETTY_NAME"), $(dpkg --print-architecture)"
}

check_python() {
    $dry_run || python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
        fail "This system's Python is $(python3 --version): it must be 3.11 or newer."
}
