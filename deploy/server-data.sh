# shellcheck shell=sh
# The part of deploy/server-setup that makes PostgreSQL and Redis ready, and draws the secrets.
# What it names in capitals, and what was said on the command line, server-setup has set.
# shellcheck disable=SC2154

# --- PostgreSQL ---

as_postgres() { (cd / && setpriv --reuid=postgres --regid=postgres --init-groups "$@"); }
ask_postgres() { as_postgres psql --no-psqlrc --quiet --tuples-only --no-align "$@"; }

make_database() {
    step "PostgreSQL: a user and a database"
    if $dry_run; then say "   would set it up for $(size) memory, and make both"; return; fi
    # The newest of Debian's clusters.
    cluster=$(pg_lsclusters --no-header | sort -V | awk 'END { if (NR) print $1, $2 }')
    [ -n "$cluster" ] || fail "PostgreSQL has no cluster: \`pg_createcluster VERSION main\` makes one."
    configure_postgres "/etc/postgresql/${cluster% *}/${cluster#* }/conf.d/piwheels.conf"
    if [ -z "$(ask_postgres --command "SELECT 1 FROM pg_roles WHERE rolname = '$SERVER'")" ]; then
        as_postgres createuser "$SERVER"
    fi
    if [ -z "$(ask_postgres --command "SELECT 1 FROM pg_database WHERE datname = 'piwheels'")" ]; then
        as_postgres createdb --owner "$SERVER" --encoding UTF8 --template template0 piwheels
    fi
    ask_postgres --dbname piwheels --command "SET client_min_messages = warning" \
        --command "CREATE EXTENSION IF NOT EXISTS pg_trgm"
}

size() {
    if [ "$(awk '$1 == "MemTotal:" { print $2 }' /proc/meminfo)" -lt 12000000 ]; then say small; else say large; fi
}

# Put the settings that fit this machine to $1, and start the cluster with them.
configure_postgres() {
    say "   cluster $cluster, settings for $(size) memory"
    action=start
    if ! cmp --quiet "$source/deploy/postgresql/$(size).conf" "$1"; then
        install -m 0644 "$source/deploy/postgresql/$(size).conf" "$1"
        action=restart
    fi
    # Its version and its name are two words.
    # shellcheck disable=SC2086
    if [ $action = restart ] || ! pg_lsclusters --no-header $cluster | grep -qw online; then
        pg_ctlcluster $cluster $action
    fi
}

# --- Redis ---

OUR_USERS='^user (default|server|orders|admin) '

drawn() { if $dry_run; then say "(drawn)"; else openssl rand -hex 24; fi; }

make_redis() {
    step "Redis: settings, users and secrets"
    program=/usr/bin/redis-server
    if [ -x /usr/bin/valkey-server ]; then program=/usr/bin/valkey-server; fi
    before=$(redis_settings)
    {
        say "include $OPT/current/deploy/redis/redis.conf"
        # Not included, as a release that one goes back to may not have it.
        cat "$source/deploy/redis/$(size).conf"
        if [ "$redis" = 127.0.0.1 ]; then say "bind 127.0.0.1"; else say "bind 127.0.0.1 $redis"; fi
        say "port 6380"
        say "aclfile $REDIS_VAR/users.acl"
        say "dir $REDIS_VAR"
        say "supervised systemd"
        say 'logfile ""'
    } | write "$ETC/redis.conf" root:root 0644
    # An address has brackets around an IPv6 one, so that its port can be told from it.
    case $redis in *:*) host="[$redis]" ;; *) host=$redis ;; esac
    # Where builders reach it, `create_builder` tells them to.
    for user in server orders admin; do
        case $user in server) file=redis-url ;; orders) file=orders-url ;; *) file=redis-admin-url ;; esac
        password=$(sed -n 's#^redis://[^:]*:\([^@]*\)@.*#\1#p' "$SECRETS/$file" 2>/dev/null || true)
        [ -n "$password" ] || password=$(drawn)
        say "redis://$user:$password@$host:6380/0" | write "$SECRETS/$file" "root:$SERVER" 0640
        eval "${user}_hash=\$(printf %s \"\$password\" | sha256sum | cut -d' ' -f1)"
    done
    make_redis_users
    # It reads them when it starts, which an earlier run may not have come to; it loses nothing that would be
    # missed.
    redis_action=start
    now=$(redis_settings)
    if [ "$now" != "$before" ] || [ "$now" != "$(cat "$REDIS_BEGAN_WITH" 2>/dev/null)" ]; then redis_action=restart; fi
    if [ ! -s "$SECRETS/secret-key" ]; then
        say "$(drawn)$(drawn)" | write "$SECRETS/secret-key" "root:$SERVER" 0640
    fi
}

# Print a hash of what is ours of them, its unit and its program among them (write_units); builders come and go while
# Redis runs.
redis_settings() {
    {
        cat "$ETC/redis.conf" "$source/deploy/redis/redis.conf" "$source/deploy/systemd/piwheels-redis.service"
        say "$program"
        grep -E "$OUR_USERS" "$REDIS_VAR/users.acl"
    } 2>/dev/null | sha256sum
}

# Redis itself writes the builders' users into that file, so only ours are put in.
make_redis_users() {
    users=$REDIS_VAR/users.acl
    {
        # Set by name above.
        # shellcheck disable=SC2154
        sed -e "s/{server}/$server_hash/" -e "s/{orders}/$orders_hash/" -e "s/{admin}/$admin_hash/" \
            "$source/deploy/redis/users.acl.example" | if knows_setinfo; then cat; else sed 's/ +client|setinfo//'; fi
        if [ -e "$users" ]; then grep -Ev "$OUR_USERS" "$users" || true; fi
    } | write "$users" "$REDIS:$REDIS" 0600
}

# Redis 7.0, as Debian 12 has it, does not.
knows_setinfo() { ! "$program" --version 2>/dev/null | grep -q ' v=7\.0\.'; }
