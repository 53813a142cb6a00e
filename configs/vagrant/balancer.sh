#!/bin/sh
# A balancer: pyvrrp and tcpbalancer from this project, as the services keepalived and haproxy.
# Arguments: the machine's address in the lab and its name.
set -eu
export DEBIAN_FRONTEND=noninteractive
address=$1 name=$2 home=/opt/ha-lab

apt-get -qq -y install --no-install-recommends python3-venv iproute2 curl >/dev/null
[ -x "$home/.venv/bin/python" ] || python3 -m venv "$home/.venv"
"$home/.venv/bin/pip" install --quiet --disable-pip-version-check --force-reinstall /vagrant

# On the machine eth0 is Vagrant's own network; the lab is wherever its address is.
interface=$(ip -o -4 address show to "$address" | awk '{ print $2; exit }')
install -d -m 755 /etc/pyvrrp /etc/tcpbalancer
sed "s/interface: eth0/interface: $interface/" "/vagrant/configs/lab/pyvrrp.$name.yaml" >/etc/pyvrrp/pyvrrp.yaml
install -m 600 /vagrant/configs/lab/haproxy.cfg /etc/tcpbalancer/haproxy.cfg
chmod 600 /etc/pyvrrp/pyvrrp.yaml
install -m 755 /vagrant/configs/reference/check_haproxy.sh /vagrant/configs/reference/keepalived_notify.sh \
    /usr/local/bin/

install -m 644 /vagrant/configs/systemd/pyvrrp.service /vagrant/configs/systemd/tcpbalancer.service \
    /etc/systemd/system/
systemctl daemon-reload
systemctl enable --quiet tcpbalancer pyvrrp
systemctl restart tcpbalancer pyvrrp
