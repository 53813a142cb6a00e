"""Beside the real ``keepalived -t``: what both say of instances, groups and trackers, line by line.

All files are given to it in one namespace, in one run: what differs is told together.
"""

from __future__ import annotations

import re
import subprocess
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from hakit.diagnostics import ConfigError
from pyvrrp.config.load import read

pytestmark = pytest.mark.interop

SECURE = "global_defs {\n script_user root\n enable_script_security\n}\n"
REST = " interface eth0\n virtual_router_id 51\n virtual_ipaddress {\n  10.9.0.100\n }\n"
NAKED = " interface eth0\n virtual_router_id 51\n"
TRACKERS = (
    'vrrp_script chk {\n script "/usr/bin/true"\n}\nvrrp_track_process p {\n process haproxy\n}\n'
    "track_file f {\n file /tmp/pyvrrp-nothing-here\n}\n"
)
INSTANCES = {
    "v3": " version 3\n",
    "version 4": " version 4\n",
    "version twice": " version 3\n version 2\n",
    "v3 interval 0.123": " version 3\n advert_int 0.123\n",
    "v3 interval 41": " version 3\n advert_int 41\n",
    "v2 interval 0.4": " advert_int 0.4\n",
    "AH and MASTER": " state MASTER\n priority 9\n authentication {\n  auth_type AH\n  auth_pass x\n }\n",
    "v3 and AH": " version 3\n authentication {\n  auth_type AH\n  auth_pass x\n }\n",
    "state twice": " state MASTER\n state BACKUP\n",
    "unicast": " unicast_src_ip 10.9.0.1\n unicast_peer {\n  10.9.0.2\n }\n",
    "unicast without peers": " unicast_src_ip 10.9.0.1\n",
    "check_unicast_src without peers": " check_unicast_src\n",
    "unicast_ttl without peers": " unicast_ttl 7\n",
    "unicast_ttl 256": " unicast_ttl 256\n unicast_peer {\n  10.9.0.2\n }\n",
    "unicast and group": " mcast_dst_ip 239.0.0.1\n unicast_peer {\n  10.9.0.2\n }\n",
    "strict": " strict_mode on\n",
    "strict maybe": " strict_mode maybe\n",
    "strict and MASTER": " strict_mode\n state MASTER\n priority 100\n",
    "strict and authentication": " strict_mode\n authentication {\n  auth_type PASS\n  auth_pass x\n }\n",
    "strict and preempt_delay": " strict_mode\n preempt_delay 3\n",
    "strict and adverts": " strict_mode\n lower_prio_no_advert off\n higher_prio_send_advert on\n",
    "strict and accept": " strict_mode\n accept\n",
    "strict and garp": " strict_mode\n garp_lower_prio_repeat 3\n garp_lower_prio_delay 2\n",
    "lower_prio maybe": " lower_prio_no_advert maybe\n",
    "priority changes maybe": " notify_priority_changes maybe\n",
    "debug 5": " debug 5\n",
    "kernel_rx_buf_size x": " kernel_rx_buf_size x\n",
    "garp_extra_if": " garp_extra_if all\n",
    "garp_extra_if x": " garp_extra_if x\n",
    "vmac_garp_intvl": " vmac_garp_intvl 5\n",
    "xmit_base alone": " vmac_xmit_base\n",
    "notify twice": " notify /usr/bin/true\n notify /usr/bin/true\n",
    "mixed families": " virtual_ipaddress_excluded {\n  fd00::1\n }\n",
    "own interface": " track_interface {\n  eth0\n }\n",
    "interface weight": " track_interface {\n  eth1 weight 254\n }\n",
    "interface weight 300": " track_interface {\n  eth1 weight 300\n }\n",
    "interface without weight": " track_interface {\n  eth1 weight\n }\n",
    "interface twice": " track_interface {\n  eth1\n  eth1\n }\n",
    "script without weight": " track_script {\n  chk weight\n }\n",
    "script odd option": " track_script {\n  chk weight 3 back\n }\n",
    "process option": " track_process {\n  p wait\n }\n",
    "process weight 300": " track_process {\n  p weight 300\n }\n",
    "process missing": " track_process {\n  q\n }\n",
    "file option": " track_file {\n  f wait\n }\n",
    "file weight 300": " track_file {\n  f weight 300\n }\n",
    "file twice": " track_file {\n  f\n  f\n }\n",
    "owner and weights": (
        " priority 255\n track_script {\n  chk weight 5\n }\n track_interface {\n  eth1 weight 5\n }\n"
    ),
    "owner and a file": " priority 255\n track_file {\n  f\n }\n",
    "route gw": " virtual_routes {\n  10.1.0.0/16 gw 10.9.0.2\n }\n",
    "route or": " virtual_routes {\n  10.1.0.0/16 via 10.9.0.2 or 10.9.0.3 dev eth0\n }\n",
    "rule without preference": " virtual_rules {\n  from 10.9.0.1 table 1\n  to 10.9.0.1 table 1\n }\n",
    "rules": " virtual_rules {\n  from 10.9.0.1 table 1 priority 3\n }\n",
    "brd too long": " virtual_ipaddress_excluded {\n  10.9.0.101 brd +\n }\n",
    "bad scope": " virtual_ipaddress_excluded {\n  10.9.0.101 scope moon\n }\n",
    "IPv6 scope and label": " virtual_ipaddress_excluded {\n  fd00::1 scope link label x\n }\n",
    "bad lifetime": " virtual_ipaddress_excluded {\n  10.9.0.101 preferred_lft x\n }\n",
    "peer of another family": " virtual_ipaddress_excluded {\n  10.9.0.101 peer fd00::1\n }\n",
    "peer and prefix": " virtual_ipaddress_excluded {\n  10.9.0.101/24 peer 10.9.0.102\n }\n",
    "peer and broadcast": " virtual_ipaddress_excluded {\n  10.9.0.101 peer 10.9.0.102 brd 10.9.0.255\n }\n",
}
FILES = {name: f"{SECURE}{TRACKERS}vrrp_instance VI_1 {{\n{lines}{REST}}}\n" for name, lines in INSTANCES.items()}
SECOND = REST.replace("51", "52").replace("100", "101")
VIP6 = " virtual_ipaddress {\n  fe80::1\n }\n"
PAIR = f"vrrp_instance A {{\n{REST}}}\nvrrp_instance B {{\n{SECOND}}}\n"
FILES |= {
    "both families": f"vrrp_instance V {{\n{NAKED} virtual_ipaddress {{\n  10.9.0.1\n  fd00::1\n }}\n}}\n",
    "same VRID, both families": f"vrrp_instance V {{\n{REST}}}\nvrrp_instance W {{\n{NAKED}{VIP6}}}\n",
    "same VRID, IPv6 twice": "".join(
        f"vrrp_instance {name} {{\n{NAKED} virtual_ipaddress {{\n  fe80::1\n }}\n}}\n" for name in "VW"
    ),
    "v3 without VIP": f"vrrp_instance V {{\n version 3\n{NAKED}}}\n",
    "IPv6 strict": f"vrrp_instance V {{\n strict_mode\n{NAKED} virtual_ipaddress {{\n  fd00::1\n }}\n}}\n",
    "IPv6 version 2": f"vrrp_instance V {{\n{NAKED} virtual_ipaddress {{\n  fe80::1\n }}\n version 2\n}}\n",
    "too many": f"vrrp_instance V {{\n{NAKED} virtual_ipaddress {{\n" + "".join(
        f"  10.8.{number >> 8}.{number & 255}\n" for number in range(1, 300)
    ) + " }\n}\n",
    "too many IPv6": f"vrrp_instance V {{\n{NAKED} virtual_ipaddress {{\n  fe80::1\n" + "".join(
        f"  fd00::{number:x}\n" for number in range(1, 100)
    ) + " }\n}\n",
    "group": "vrrp_sync_group G {\n group { A B }\n}\n" + PAIR,
    "group of one": "vrrp_sync_group G {\n group { A }\n}\n" + PAIR,
    "group of nobody": "vrrp_sync_group G {\n group { X Y }\n}\n" + PAIR,
    "group without members": "vrrp_sync_group G {\n global_tracking\n}\n" + PAIR,
    "group twice": "vrrp_sync_group G {\n group { A B }\n}\nvrrp_sync_group H {\n group { A B }\n}\n" + PAIR,
    "group and weights": SECURE + TRACKERS + "vrrp_sync_group G {\n group { A B }\n}\n" + PAIR.replace(
        " virtual_router_id 51", " virtual_router_id 51\n track_script {\n  chk weight 5\n }"
    ),
    "group of an owner": "vrrp_sync_group G {\n group { A B }\n}\n"
    + PAIR.replace(" virtual_router_id 51", " virtual_router_id 51\n priority 255"),
    "process of nothing": "vrrp_track_process q {\n quorum 0\n quorum_max x\n weight 300\n delay x\n process a\n"
    " param_match x\n}\n" + PAIR,
    "process quorum": "vrrp_track_process q {\n process a\n process b\n quorum 3\n quorum_max 2\n"
    " weight 3 back\n}\n" + PAIR,
    "file of odd things": "track_file q {\n file /tmp/x\n file /tmp/y\n weight 3 back\n init_file x 300\n}\n" + PAIR,
    "delays": "interface_up_down_delays {\n eth0 x\n}\n" + PAIR,
}  # fmt: skip


@cache
def theirs() -> dict[str, tuple[int, list[str]]]:
    """Return the exit status of ``keepalived -t`` for every file and its lines, each once and without the file."""
    with TemporaryDirectory(prefix="pyvrrp-blocks-") as name:
        return asked(Path(name))


def asked(directory: Path) -> dict[str, tuple[int, list[str]]]:
    """Return the same, with the files in ``directory``."""
    for number, text in enumerate(FILES.values()):
        (directory / f"{number}.conf").write_text(text)
    script = (
        "ip link add eth0 type veth peer name eth1; ip address add 10.9.0.1/24 dev eth0; ip link set eth0 up;"
        'ip link set eth1 up; cd "$1"; for f in *.conf; do'
        ' timeout 3 keepalived -t -f "$1/$f" -p "$1/a" -r "$1/b" >"$f.said" 2>&1;'
        ' echo $? >"$f.status"; done'
    )
    subprocess.run(["unshare", "--net", "sh", "-c", script, "sh", directory], check=True)
    found = {}
    for number, name in enumerate(FILES):
        said = (directory / f"{number}.conf.said").read_text().splitlines()
        lines = [re.sub(r"^\(\S+: Line (\d+)\) ", "", line) for line in said]
        found[name] = int((directory / f"{number}.conf.status").read_text()), list(dict.fromkeys(lines))
    return found


@pytest.mark.parametrize("name", FILES)
def test_both_say_the_same(name: str) -> None:
    status, lines = theirs()[name]
    try:
        found = read(FILES[name].encode(), "k.conf").warnings
    except ConfigError as refused:
        found = refused.diagnostics
    ours = [one.message.partition("; did you mean")[0] for one in found if not one.advice]
    assert list(dict.fromkeys(ours)) == lines
    assert (5 if ours else 0) == status
