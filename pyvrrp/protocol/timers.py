"""The two intervals that VRRP is made of.

Laws: pure. Both come from the *effective* priority, so a router whose check fails also takes over later. They are
computed in whole microseconds, truncated, as keepalived computes them, and returned in seconds.

Version 2, RFC 3768 section 6.1: Skew_Time = (256 - Priority) / 256 seconds, not scaled by the advertisement interval.
Version 3, RFC 5798 section 6.1: Skew_Time = (256 - Priority) x Master_Adver_Interval / 256.
Both: Master_Down_Interval = 3 x Master_Adver_Interval + Skew_Time. The 3 is keepalived's ``down_timer_adverts``.
"""

from __future__ import annotations

SECOND = 1_000_000


def skew_time(priority: int, version: int = 2, advert_interval: float = 1.0) -> float:
    """Return Skew_Time in seconds for an effective priority of 1 .. 255; the interval counts in version 3 alone."""
    return _skew(priority, version, advert_interval) / SECOND


def master_down_interval(priority: int, advert_interval: float, down_timer_adverts: int = 3, version: int = 2) -> float:
    """Return Master_Down_Interval in seconds: how long a backup waits before it takes over."""
    interval = round(advert_interval * SECOND)
    return (down_timer_adverts * interval + _skew(priority, version, advert_interval)) / SECOND


def lease_is_due(age: float, advert_interval: float, lease: int) -> bool:
    """Return whether an advertisement has to renew the lease of the addresses, ``age`` seconds after the last renewal.

    No advertisement leaves with a lease that is half over: if the next one would, this one renews it.
    """
    return age + advert_interval > lease / 2


def lease_to_ask_for(lease: int, lag: float) -> int:
    """Return the seconds to ask the kernel for, if it has taken ``lag`` seconds to carry the last renewal out.

    Where that is a matter of milliseconds it is the lease. Where the kernel's networking is busy for seconds (its lock
    is one for all), a daemon that lives would lose its addresses: twice that time is added, up to ten leases in all.
    """
    return min(lease + int(2 * lag), 10 * lease)


def _skew(priority: int, version: int, advert_interval: float) -> int:
    scale = SECOND if version == 2 else round(advert_interval * SECOND)
    return (256 - priority) * scale // 256
