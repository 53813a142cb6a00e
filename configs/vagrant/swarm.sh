#!/bin/sh
# A Swarm manager. The first begins the swarm; the second is left to join it through the virtual address, which is part
# of the lab's plan. Arguments: the machine's address and its name.
set -eu
export DEBIAN_FRONTEND=noninteractive
address=$1 name=$2

apt-get -qq -y install --no-install-recommends docker.io iptables >/dev/null
systemctl enable --quiet --now docker
if [ "$name" = docker_mgr1 ]; then
    docker info --format '{{.Swarm.LocalNodeState}}' | grep -qx active ||
        docker swarm init --advertise-addr "$address" >/dev/null
    echo "on docker_mgr2:  docker swarm join --token $(docker swarm join-token -q manager) 192.168.50.10:2377"
fi
