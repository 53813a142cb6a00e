#!/bin/sh
# The client: psql and curl, and the passwords of the lab. Arguments: the machine's address and the virtual address.
set -eu
export DEBIAN_FRONTEND=noninteractive
vip=$2

apt-get -qq -y install --no-install-recommends postgresql-client-15 curl >/dev/null
for port in 5432 5000 5001; do
    echo "$vip:$port:*:postgres:postgres"
done >/home/vagrant/.pgpass
chown vagrant: /home/vagrant/.pgpass
chmod 600 /home/vagrant/.pgpass
echo "try:  psql -h $vip -U postgres -c 'SELECT inet_server_addr()'"
echo "and:  curl -u admin:admin123 http://$vip:8404/stats"
