#!/bin/sh
# As the default image's init.sh: own /config on every start, then give up root.
set -eu

number_or() { case "$1" in '' | *[!0-9]*) echo "$2" ;; *) echo "$1" ;; esac; }

if [ "$(id -u)" -eq 0 ]; then
    PUID=$(number_or "${PUID:-}" 1000)
    PGID=$(number_or "${PGID:-}" 1000)
    if [ "$PUID" -eq 0 ] || [ "$PGID" -eq 0 ]; then
        echo "PUID and PGID must not be 0: the game does not run as root." >&2
        exit 1
    fi
    mkdir -p /config/saved/server
    chown -R "$PUID:$PGID" /config
    exec setpriv --reuid "$PUID" --regid "$PGID" --clear-groups python3 -m standin "$@"
fi
exec python3 -m standin "$@"
