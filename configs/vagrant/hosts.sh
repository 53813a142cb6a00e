#!/bin/sh
# Every machine knows every other by the name that the reference gives it. Arguments: ADDRESS NAME, again and again.
set -eu

while [ $# -ge 2 ]; do
    grep -q "^$1 $2\$" /etc/hosts || echo "$1 $2" >>/etc/hosts
    shift 2
done
apt-get -qq update
