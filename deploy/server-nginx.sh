# shellcheck shell=sh
# The part of deploy/server-setup that configures nginx, with TLS or behind another proxy.
# What it names in capitals, and what was said on the command line, server-setup has set.
# shellcheck disable=SC2154

# Fill in the template $1; what is filled in was checked before.
fill() {
    sed -e "s|\${PIWHEELS_LISTEN}|$listen|" -e "s|\${PIWHEELS_LISTEN_TOO}|$listen_too|" \
        -e "s|\${PIWHEELS_WEB}|unix:/run/piwheels/web.sock|" -e "s|\${PIWHEELS_PUBLIC}|$public|" \
        -e "s|\${PIWHEELS_PYPI}|$upstream|" -e "s|\${PIWHEELS_NGINX}|$ETC/nginx|" \
        -e "s|\${PIWHEELS_ACCESS_LOG}|$LOG/access.json|" -e "s|\${PIWHEELS_ACME}|$ACME|" \
        -e "s|\${PIWHEELS_NAME}|$name|" "$1"
}

# What nginx has to know of the settings, which an operator may have otherwise than the setup would.
read_tree_and_index() {
    public=$(setting PIWHEELS_PUBLIC)
    upstream=$(setting PIWHEELS_PYPI)
    # Where it is only tried, perhaps nothing is written yet.
    public=${public:-$VAR/public} upstream=${upstream:-${pypi:-(PyPI)}}
    case $public$upstream in
        *[!!-~]* | *[\'\"\|\;\{\}\$\\\&]*)
            fail "PIWHEELS_PUBLIC and PIWHEELS_PYPI may have no spaces, quotes, or signs such as ; and &." ;;
    esac
}

configure_nginx() {
    step "nginx, and the rotation of its log"
    listen_too=''
    run install -d -m 0755 "$ETC/nginx" "$ETC/nginx/local"
    run rm -f "$ETC"/nginx/local/tls.conf "$ETC"/nginx/local/behind-proxy.conf
    for part in "$source"/deploy/nginx/*.conf; do
        case ${part##*/} in
            tls.conf | behind-proxy.conf) ;;
            *) run install -m 0644 "$part" "$ETC/nginx/" ;;
        esac
    done
    if [ -n "$proxy" ]; then listen_plainly; else listen_with_tls; fi
    if [ ! -e "$LOG/access.json" ]; then
        run install -o www-data -g "$SERVER" -m 0640 /dev/null "$LOG/access.json"
    fi
    run install -m 0644 "$source/deploy/logrotate.conf" /etc/logrotate.d/piwheels
    allow_connections
    run nginx -t -q
}

# Debian's number for each process is that of four clients that read slowly (read-only.conf).  It stands in a file of
# nginx's own, and can stand nowhere else; another number is somebody's choice.
allow_connections() {
    if grep -q 'worker_connections 768;' "$NGINX/nginx.conf" 2>/dev/null; then
        run sed -i 's/worker_connections 768;/worker_connections 4096;/' "$NGINX/nginx.conf"
    fi
    # Each wants two files open, and some; systemd gives 1,024.  nginx takes this when it reads its configuration anew,
    # and what its unit allows only when it is started.  Debian includes what is in that folder before all else.
    open_files=$NGINX/modules-enabled/piwheels.conf
    if grep -sHE '^[[:space:]]*worker_rlimit_nofile[[:space:]]' "$NGINX/nginx.conf" "$NGINX"/modules-enabled/*.conf |
        grep -qv "^$open_files:"; then
        run rm -f "$open_files"
    elif $dry_run || [ -d "${open_files%/*}" ]; then
        say 'worker_rlimit_nofile 65536;' | write "$open_files" root:root 0644
    fi
}

listen_plainly() {
    run install -m 0644 "$source/deploy/nginx/behind-proxy.conf" "$ETC/nginx/local/"
    run rm -f "$NGINX/conf.d/piwheels-http.conf"
    listen=$proxy
    fill "$source/deploy/nginx/piwheels.conf.template" | write "$NGINX/conf.d/piwheels.conf" root:root 0644
}

listen_with_tls() {
    if $self_signed; then certificate=$ETC/tls/self-signed.pem key=$ETC/tls/self-signed.key; sign; fi
    listen='443 ssl http2' http2=''
    # From 1.25.1 on it is a directive of its own.
    if [ "$(printf '%s\n' 1.25.1 "$(nginx_version)" | sort -V | head -n 1)" = 1.25.1 ]; then
        listen='443 ssl' http2='http2 on;'
    fi
    {
        cat "$source/deploy/nginx/tls.conf"
        say "ssl_certificate $certificate;"
        say "ssl_certificate_key $key;"
        say "$http2"
        if has_ipv6; then say "listen [::]:$listen;"; fi
    } | write "$ETC/nginx/local/tls.conf" root:root 0644
    fill "$source/deploy/nginx/piwheels.conf.template" | write "$NGINX/conf.d/piwheels.conf" root:root 0644
    listen=80
    if has_ipv6; then listen_too='listen [::]:80;'; fi
    fill "$source/deploy/nginx/to-https.conf.template" | write "$NGINX/conf.d/piwheels-http.conf" root:root 0644
}

nginx_version() { nginx -v 2>&1 | sed 's#.*/\([0-9.]*\).*#\1#'; }
has_ipv6() { [ -s /proc/net/if_inet6 ]; }

# One that has another name, or ends within a month, is made anew; builders that were given it need the new one.
sign() {
    if [ -s "$key" ] && openssl x509 -in "$certificate" -noout -checkend 2592000 >/dev/null 2>&1 &&
        openssl x509 -in "$certificate" -noout -checkhost "$name" | grep -q 'does match'; then return; fi
    say "   signs a certificate for ten years: builders trust it once they have $certificate"
    run install -d -m 0700 "$ETC/tls"
    run openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3650 -batch \
        -subj "/CN=$name" -addext "subjectAltName=DNS:$name" -keyout "$key" -out "$certificate"
}
