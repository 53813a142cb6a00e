#!/bin/sh
# Exit status 0 if the balancer on this host works: its service is active, and something listens on the port of the
# statistics (8404) and on that of PostgreSQL (5432). Run by vrrp_script check_haproxy.

systemctl is-active --quiet haproxy || exit 1

listening=$(ss -tlnp) || exit 1
for port in 8404 5432; do
    printf '%s\n' "$listening" | grep -Eq ":$port[[:space:]]" || exit 1
done
exit 0
