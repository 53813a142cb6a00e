"""The hub of events."""

from __future__ import annotations

from hakit.events import KEPT, EventHub
from hakit.transcript import Event


def test_listeners_hear_every_event_in_order_until_they_stop() -> None:
    hub, heard = EventHub("pyvrrp"), list[Event]()
    stop = hub.listen(heard.append)
    first = hub.publish("ready", "because", port=1)
    second = hub.publish_for("VI_1", "transition")
    stop()
    stop()
    hub.publish("stopped")
    assert heard == [first, second]
    assert (first.source, first.event, first.reason, first["port"]) == ("pyvrrp", "ready", "because", 1)
    assert (second.source, second.at >= first.at) == ("VI_1", True)


def test_a_listener_may_leave_while_an_event_is_told() -> None:
    hub, heard = EventHub("a"), list[str]()

    def once(event: Event) -> None:
        heard.append(event.event)
        stop()

    stop = hub.listen(once)
    hub.listen(lambda event: heard.append(event.event.upper()))
    hub.publish("x")
    hub.publish("y")
    assert heard == ["x", "X", "Y"]


def test_who_would_publish_much_is_told_whether_anybody_listens_until_it_stops() -> None:
    hub, told = EventHub("a"), list[bool]()
    stop = hub.on_interest("crowd", told.append)
    hub.listen(lambda _: None)()
    hub.listen(lambda _: None, "crowd", "other")()
    hub.listen(lambda _: None, "other")()
    stop()
    stop()
    hub.listen(lambda _: None)
    assert told == [False, True, False, True, False, False, False]


def test_who_listens_to_some_events_hears_no_others() -> None:
    hub, heard = EventHub("a"), list[str]()
    hub.listen(lambda event: heard.append(event.event), "x", "z")
    for name in "xyz":
        hub.publish(name)
    assert heard == ["x", "z"]


def test_the_latest_events_are_kept() -> None:
    hub = EventHub("a")
    for number in range(KEPT + 1):
        hub.publish("n", number=number)
    assert len(hub.recent) == KEPT
    assert hub.recent[0]["number"] == 1
