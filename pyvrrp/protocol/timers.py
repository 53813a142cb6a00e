"""The two intervals that VRRP is made of.

Laws: pure. Both come from the *effective* priority, so a router whose check fails also takes over later. RFC 3768
section 6.1: Skew_Time = (256 - Priority) / 256 seconds, not scaled by the advertisement interval, and
Master_Down_Interval = 3 x Advertisement_Interval + Skew_Time. The 3 is keepalived's ``down_timer_adverts``.
"""

from __future__ import annotations


def skew_time(priority: int) -> float:
    """Return Skew_Time in seconds for an effective priority of 1 .. 255."""
    return (256 - priority) / 256


def master_down_interval(priority: int, advert_interval: float, down_timer_adverts: int = 3) -> float:
    """Return Master_Down_Interval in seconds: how long a backup waits before it takes over."""
    return down_timer_adverts * advert_interval + skew_time(priority)
