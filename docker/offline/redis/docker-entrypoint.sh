#!/bin/sh
# As the official image does it: options alone are the server's; as root the server becomes the user redis.
set -e
case "${1#-}" in "$1") ;; *) set -- redis-server "$@" ;; esac
case "$1" in *.conf) set -- redis-server "$@" ;; esac
if [ "$1" = redis-server ] && [ "$(id -u)" = 0 ]; then
  chown -R redis:redis .
  exec setpriv --reuid=redis --regid=redis --clear-groups "$@"
fi
umask 0077
# Without protected mode, as in the official image: a container is reached from others or not at all.
if [ "$1" = redis-server ] && [ $# -eq 1 ]; then set -- redis-server --protected-mode no; fi
exec "$@"
