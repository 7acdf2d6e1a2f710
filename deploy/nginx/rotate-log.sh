#!/bin/sh
# Rotates the access log of compose's nginx, as deploy/logrotate.conf does where there is a logrotate: renamed
# once a day, or sooner when it is large, and kept for a week, as it has addresses.
#
# The image of nginx runs this before nginx, without arguments; with the number of nginx's process it looks once.
set -eu

LOG=$PIWHEELS_ACCESS_LOG
# `manage.py follow_downloads` may be down for as long as these last; more of them fill no disk.
KEPT=7

if [ $# = 0 ]; then
    # nginx will be the first process of its container.
    while sleep 600; do "$0" 1 || true; done &
    exit
fi

rotated() { find "${LOG%/*}" -maxdepth 1 -type f -name "${LOG##*/}-*" "$@"; }

rotated -mtime "+$((KEPT - 1))" -delete
if [ ! -s "$LOG" ]; then exit; fi
if [ -n "$(rotated -mmin -1440)" ] && [ -z "$(find "$LOG" -size +500M)" ]; then exit; fi
mv "$LOG" "$LOG-$(date -u +%Y%m%dT%H%M%S)"
# It goes on writing to the renamed file until it has opened the new one.
kill -USR1 "$1"
rotated | sort -r | tail -n "+$((KEPT + 1))" | xargs -r rm --
