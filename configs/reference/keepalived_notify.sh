#!/bin/sh
# Logs the state that this router has entered. Run by notify_master, notify_backup and notify_fault with the state as
# its only argument.

log=/var/log/keepalived_notify.log
state=${1:?usage: keepalived_notify.sh master|backup|fault}

printf '%s %s: VRRP state %s\n' "$(date '+%Y-%m-%d %H:%M:%S')" "$(uname -n)" "$state" >>"$log"
if command -v logger >/dev/null 2>&1; then
    logger -t keepalived_notify "VRRP state $state" || :  # without a syslog daemon the file has to do
fi
exit 0
