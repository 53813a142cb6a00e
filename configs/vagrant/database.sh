#!/bin/sh
# A database node: PostgreSQL 15 under Patroni, with etcd beside it. Arguments: the machine's address and its name.
set -eu
export DEBIAN_FRONTEND=noninteractive
address=$1 name=$2 home=/opt/ha-lab data=/var/lib/postgresql/patroni

# Patroni makes the cluster; Debian's package must not.
install -d -m 755 /etc/postgresql-common
echo "create_main_cluster = false" >/etc/postgresql-common/createcluster.conf
apt-get -qq -y install --no-install-recommends postgresql-15 etcd-server etcd-client python3-venv >/dev/null
[ -x "$home/.venv/bin/python" ] || python3 -m venv "$home/.venv"
"$home/.venv/bin/pip" install --quiet --disable-pip-version-check '/vagrant[lab]'

peers="pg102=http://192.168.50.21:2380,pg103=http://192.168.50.22:2380,pg104=http://192.168.50.23:2380"
if ! grep -q "^ETCD_NAME=$name\$" /etc/default/etcd 2>/dev/null; then
    systemctl stop etcd
    rm -rf /var/lib/etcd/default # the cluster of one that the package has begun
    cat >/etc/default/etcd <<TEXT
ETCD_NAME=$name
ETCD_DATA_DIR=/var/lib/etcd/lab
ETCD_LISTEN_CLIENT_URLS=http://0.0.0.0:2379
ETCD_ADVERTISE_CLIENT_URLS=http://$address:2379
ETCD_LISTEN_PEER_URLS=http://$address:2380
ETCD_INITIAL_ADVERTISE_PEER_URLS=http://$address:2380
ETCD_INITIAL_CLUSTER=$peers
ETCD_INITIAL_CLUSTER_STATE=new
TEXT
fi
systemctl enable --quiet etcd
systemctl restart --no-block etcd # the first of three is ready only when the second has come

install -d -m 700 -o postgres -g postgres "$data"
cat >/etc/patroni.yml <<TEXT
scope: lab
name: $name
etcd3: {hosts: "192.168.50.21:2379,192.168.50.22:2379,192.168.50.23:2379"}
restapi: {listen: "0.0.0.0:8008", connect_address: "$address:8008"}
bootstrap:
  dcs:
    ttl: 20
    loop_wait: 1
    retry_timeout: 3
    postgresql: {use_pg_rewind: true, use_slots: true}
  initdb: [{encoding: UTF8}, {locale: C.UTF-8}, data-checksums]
postgresql:
  listen: "0.0.0.0:5432"
  connect_address: "$address:5432"
  data_dir: $data/data
  bin_dir: /usr/lib/postgresql/15/bin
  pgpass: $data/pgpass
  use_unix_socket: true
  authentication:
    superuser: {username: postgres, password: postgres}
    replication: {username: replicator, password: replicator}
    rewind: {username: rewind, password: rewind}
  pg_hba:
    - local all all trust
    - host all all 127.0.0.1/32 scram-sha-256
    - host all all 192.168.50.0/24 scram-sha-256
    - host replication replicator 127.0.0.1/32 scram-sha-256
    - host replication replicator 192.168.50.0/24 scram-sha-256
TEXT
chown postgres:postgres /etc/patroni.yml
chmod 600 /etc/patroni.yml

install -m 644 /vagrant/configs/systemd/patroni.service /etc/systemd/system/
systemctl daemon-reload
systemctl enable --quiet patroni
systemctl restart patroni
