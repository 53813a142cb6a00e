"""The counters of one virtual router, under the names of keepalived's statistics.

Laws: they only grow, until somebody clears them. A refused packet changes exactly one of them, and nothing else in
the daemon.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass


@dataclass(slots=True)
class Statistics:
    """keepalived's ``stats``, in its order, and behind them what keepalived does not count."""

    advert_rcvd: int = 0
    advert_sent: int = 0
    become_master: int = 0
    release_master: int = 0
    packet_len_err: int = 0
    advert_interval_err: int = 0
    ip_ttl_err: int = 0
    invalid_type_rcvd: int = 0
    addr_list_err: int = 0
    invalid_authtype: int = 0
    authtype_mismatch: int = 0
    auth_failure: int = 0
    pri_zero_rcvd: int = 0
    pri_zero_sent: int = 0
    version_err: int = 0
    checksum_err: int = 0
    destination_err: int = 0
    source_err: int = 0
    peer_err: int = 0
    owner_ignored: int = 0
    auth_ext_missing: int = 0
    auth_ext_malformed: int = 0
    auth_ext_unknown_key: int = 0
    auth_ext_invalid_hmac: int = 0
    auth_ext_stale: int = 0
    auth_ext_replay: int = 0
    send_failed: int = 0

    def count(self, name: str) -> int:
        """Add one to the counter of this name; returns its new value."""
        value: int = getattr(self, name) + 1
        setattr(self, name, value)
        return value

    def clear(self) -> None:
        """Begin anew at zero, as keepalived does on a signal."""
        for name in self.as_dict():
            setattr(self, name, 0)

    def as_dict(self) -> dict[str, int]:
        """Return all counters by name."""
        return asdict(self)
