"""Random configurations of the VRRP daemon, valid as a reader would build them: hypothesis strategies.

What depends on something else (an owner has no weights, strict mode no authentication) is kept to, so that each of
these can be written down and read again. Places are all NOWHERE.
"""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface, ip_network
from typing import Any

from hypothesis import strategies as st

from pyvrrp.config.route_line import route_text
from pyvrrp.config.rule_line import rule_text
from pyvrrp.model import (
    Authentication,
    AuthType,
    Configuration,
    Dumps,
    Fifo,
    GlobalSettings,
    GratuitousArp,
    HmacAuthentication,
    HmacMode,
    InitialState,
    Instance,
    Multicast,
    Nexthop,
    NotifyScripts,
    ProcessSettings,
    Reloading,
    Route,
    Rule,
    Script,
    Settling,
    Spacing,
    SyncGroup,
    Tracked,
    Tracker,
    TrackerKind,
    TrackFile,
    TrackGroup,
    TrackHttp,
    TrackProcess,
    TrackScript,
    Unicast,
    UnicastPeer,
    VirtualAddress,
    Vmac,
    shortest_lease,
)

NAMES = st.from_regex(r"[A-Za-z][A-Za-z0-9_.-]{0,8}( [a-z]{1,3})?", fullmatch=True)
INTERFACES = st.sampled_from(["eth0", "eth1", "lan.100", "br-0", "vlan7"])
WORDS = st.text(
    st.characters(min_codepoint=32, max_codepoint=0x2FF, exclude_categories=["Cs", "Cc"]), min_size=1, max_size=8
)
PLAIN = st.from_regex(r"[A-Za-z0-9_/.-]{1,8}", fullmatch=True)
SECONDS = st.integers(1, 99_000).map(lambda number: number / 1000)
ADDRESSES4 = st.integers(0x0A000001, 0x0AFFFFFE).map(IPv4Address)
ADDRESSES6 = st.integers(1, 2**64 - 1).map(lambda number: IPv6Address((0xFD00 << 112) + number))
USERS = st.sampled_from([(None, None), ("root", None), ("daemon", "adm")])
SCRIPTS = st.builds(
    lambda words, user: Script(tuple(words), *user),
    st.lists(
        WORDS | st.sampled_from(["it's", 'a"b', "${_PWD}", "#", "{ }", "a\\b", "\n", ""]), min_size=1, max_size=4
    ).filter(lambda words: bool(words[0])),
    USERS,
)


def addresses(family: int, *, static: bool = False) -> st.SearchStrategy[VirtualAddress]:
    """Return addresses of one family, with all their options."""

    @st.composite
    def one(draw: st.DrawFn) -> VirtualAddress:
        ip = draw(ADDRESSES4 if family == 4 else ADDRESSES6)
        kind = IPv4Interface if family == 4 else IPv6Interface
        most = 32 if family == 4 else 128
        length = draw(st.integers(8, most))
        peer = draw(st.none() | st.just(kind(f"{draw(ADDRESSES4 if family == 4 else ADDRESSES6)}/{length}")))
        interface = kind(f"{ip}/{most if peer else length}")
        broadcast = draw(st.none() | ADDRESSES4) if family == 4 and not peer else None
        return VirtualAddress(
            interface,
            device=draw(INTERFACES if static else st.none() | INTERFACES),
            label=draw(st.none() | st.just("eth0:x")) if family == 4 else None,
            scope=draw(st.sampled_from([0, 200, 253, 254])) if family == 4 else 0,
            broadcast=broadcast,
            peer=peer,
            preferred_lft=draw(st.none() | st.integers(0, 999)),
            home=draw(st.booleans()),
            mngtmpaddr=draw(st.booleans()),
            noprefixroute=draw(st.booleans()),
            autojoin=draw(st.booleans()),
            dad=draw(st.booleans()),
            use_vmac=draw(st.booleans()) and not static,
            tracked=draw(st.booleans()),
        )

    return one()


@st.composite
def routes(draw: st.DrawFn) -> Route:
    """Return a route of ip-route(8)."""
    family = draw(st.sampled_from([4, 6]))
    address = ADDRESSES4 if family == 4 else ADDRESSES6
    length = draw(st.integers(8, 32 if family == 4 else 128))
    destination = (
        ip_network(f"{draw(address)}/{length}", strict=False)
        if draw(st.booleans())
        else ip_network("0.0.0.0/0" if family == 4 else "::/0")
    )
    hops = (
        draw(
            st.lists(
                st.builds(Nexthop, st.none() | address, INTERFACES, st.integers(1, 256), st.booleans()),
                min_size=2,
                max_size=3,
            )
        )
        if draw(st.booleans())
        else []
    )
    single = not hops
    metrics = draw(st.dictionaries(st.sampled_from(["mtu", "advmss", "rtt", "window"]), st.integers(1, 9999)))
    route = Route(
        destination,
        "",
        kind="unicast" if hops else draw(st.sampled_from(["unicast", "local"])),
        via=draw(st.none() | address) if single else None,
        device=draw(st.none() | INTERFACES) if single else None,
        source=draw(st.none() | address),
        priority=draw(st.none() | st.integers(0, 9999)),
        table=draw(st.sampled_from([254, 1, 6909])),
        scope=draw(st.none() | st.sampled_from([0, 253])),
        tos=draw(st.sampled_from([0, 16])),
        onlink=draw(st.booleans()) and single,
        preference=draw(st.none() | st.sampled_from([0, 1, 3])) if family == 6 else None,
        expires=draw(st.none() | st.integers(1, 999)) if family == 6 else None,
        nexthops=tuple(hops),
        metrics=dict(sorted(metrics.items())),
        locked=frozenset({"mtu"} & metrics.keys()),
    )
    tracked = route.device is not None and draw(st.booleans())
    return replace(route, text=route_text(route), tracked=tracked)


@st.composite
def rules(draw: st.DrawFn) -> Rule:
    """Return a rule of ip-rule(8)."""
    family = draw(st.sampled_from([4, 6]))
    length = draw(st.integers(8, 32 if family == 4 else 128))
    prefix = (ADDRESSES4 if family == 4 else ADDRESSES6).map(lambda one: ip_network(f"{one}/{length}", strict=False))
    action = draw(st.sampled_from(["table", "goto", "blackhole", "nop"]))
    l3mdev = action == "table" and draw(st.booleans())
    fwmark = draw(st.none() | st.integers(0, 2**32 - 1))
    ports = st.none() | st.tuples(st.integers(0, 99), st.integers(100, 65535))
    rule = Rule(
        family,
        "",
        action=action,
        table=draw(st.integers(1, 9999)) if action == "table" and not l3mdev else None,
        goto=10_000 if action == "goto" else None,
        priority=draw(st.integers(1, 9999)),
        source=draw(st.none() | prefix),
        destination=draw(st.none() | prefix),
        tos=draw(st.sampled_from([0, 16])),
        fwmark=fwmark,
        fwmask=None if fwmark is None else draw(st.none() | st.integers(0, 2**32 - 1)),
        input_interface=draw(st.none() | INTERFACES),
        output_interface=draw(st.none() | INTERFACES),
        realms=draw(st.none() | st.integers(0, 2**32 - 1)) if family == 4 else None,
        suppress_prefixlength=draw(st.none() | st.integers(0, 32)) if action == "table" else None,
        protocol=draw(st.none() | st.integers(0, 255)),
        ip_protocol=draw(st.none() | st.integers(0, 255)),
        source_ports=draw(ports),
        destination_ports=draw(ports),
        uid_range=draw(st.none() | st.tuples(st.integers(0, 9), st.integers(10, 99))),
        tunnel_id=draw(st.none() | st.integers(0, 999)),
        l3mdev=l3mdev,
        inverted=draw(st.booleans()),
        tracked=draw(st.booleans()),
    )
    return replace(rule, text=rule_text(rule))


@st.composite
def trackers(draw: st.DrawFn, name: str) -> Tracker:
    """Return a tracker of any kind, called ``name``."""
    weight, reverse = draw(st.integers(-253, 253)), draw(st.booleans())
    kind = draw(st.sampled_from(list(TrackerKind)))
    if kind is TrackerKind.FILE:
        initial = draw(st.none() | st.integers(-254, 254))
        overwrite = draw(st.booleans()) and initial is not None
        return TrackFile(
            name, draw(st.just("/run/a b") | PLAIN.map(lambda one: "/" + one)), weight, reverse, initial, overwrite
        )
    if kind is TrackerKind.PROCESS:
        words = draw(st.lists(PLAIN | st.just("a b"), min_size=1, max_size=3))
        kinds: list[str | None] = ["exact", "initial", "partial"]
        parameters = draw(st.sampled_from(kinds if len(words) > 1 else [*kinds, None]))
        most = draw(st.none() | st.integers(0, 9))
        least = 0 if most == 0 else draw(st.integers(1, most or 9))
        return TrackProcess(
            name, tuple(words), parameters, parameters is not None or draw(st.booleans()), weight, reverse, least, most,
            draw(st.just(0.0) | SECONDS), draw(st.just(0.0) | SECONDS),
        )  # fmt: skip
    if kind is TrackerKind.HTTP:
        return TrackHttp(
            name, "http://127.0.0.1:8008/primary?a=1#b",
            draw(st.sampled_from([((200, 299),), ((200, 200), (301, 302))])), draw(st.sampled_from(["GET", "HEAD"])),
            draw(SECONDS), draw(SECONDS), weight, reverse, draw(st.integers(1, 9)), draw(st.integers(1, 9)),
            draw(st.booleans()),
        )  # fmt: skip
    return TrackScript(
        name, draw(SCRIPTS), draw(SECONDS), draw(st.none() | SECONDS), weight, reverse, draw(st.integers(1, 9)),
        draw(st.integers(1, 9)), draw(st.booleans()),
    )  # fmt: skip


def kind_of(tracker: Tracker) -> TrackerKind:
    """Return under which kind a tracker is tracked."""
    kinds = {TrackScript: TrackerKind.SCRIPT, TrackFile: TrackerKind.FILE, TrackProcess: TrackerKind.PROCESS}
    return kinds.get(type(tracker), TrackerKind.HTTP)  # type: ignore[arg-type]


@st.composite
def tracked(draw: st.DrawFn, known: list[Tracker], *, weights: bool = True) -> tuple[Tracked, ...]:
    """Return lines that track some of ``known`` and an interface, in the order of kinds."""
    found = [
        Tracked("lan0", draw(st.integers(-253, 253)) if weights else 0, draw(st.booleans()), TrackerKind.INTERFACE)
    ]
    for one in known:
        weight = draw(st.just(one.weight) | st.integers(-253, 253)) if weights else 0
        found.append(Tracked(one.name, weight, draw(st.booleans()), kind_of(one)))
    order = list(TrackerKind)
    return tuple(sorted(found, key=lambda line: order.index(line.kind)))


@st.composite
def notify_scripts(draw: st.DrawFn, *, group: bool = False) -> NotifyScripts:
    """Return scripts for some of the changes."""
    maybe = st.none() | SCRIPTS
    more = {} if group else {"deleted": draw(maybe), "master_rx_lower_pri": draw(maybe)}
    return NotifyScripts(draw(maybe), draw(maybe), draw(maybe), draw(maybe), any=draw(maybe), **more)


def _transport(draw: st.DrawFn, family: int, *, strict: bool) -> dict[str, Any]:
    address = ADDRESSES4 if family == 4 else ADDRESSES6
    if strict or draw(st.booleans()):
        group = "224.0.0.18" if family == 4 else "ff02::12"
        other = "239.1.2.3" if family == 4 else "ff02::77"
        chosen = draw(st.sampled_from([group, other]))
        return {"transport": Multicast(IPv4Address(chosen) if family == 4 else IPv6Address(chosen))}
    bounds = st.sampled_from([(None, None), (255, 255), (1, 254), (None, 9)])
    peers = draw(st.lists(address, unique=True, max_size=3))
    entries = tuple(UnicastPeer(one, *draw(bounds)) for one in peers)
    bounded = any(one.min_ttl is not None or one.max_ttl is not None for one in entries)
    return {
        "transport": Unicast(
            entries, draw(st.integers(1, 255)) if entries else 255, not entries or draw(st.booleans())
        ),
        "check_unicast_source": bounded or draw(st.booleans()),
        "old_unicast_checksum": draw(st.booleans()),
    }


def _strictly(draw: st.DrawFn, *, strict: bool, owner: bool, version: int) -> dict[str, Any]:
    """Return what strict mode decides: freely if it is off."""
    if strict:
        return {
            "accept": owner or (version == 3 and draw(st.booleans())),
            "answers_lower_priority": False,
            "answers_higher_priority": False,
            "owner_ignores_adverts": owner,
            "initial_state": InitialState.MASTER if owner else InitialState.BACKUP,
        }
    return {
        "accept": draw(st.booleans()),
        "answers_lower_priority": draw(st.booleans()),
        "answers_higher_priority": draw(st.sampled_from([None, True, False])),
        "owner_ignores_adverts": owner and draw(st.booleans()),
        "initial_state": draw(st.sampled_from(list(InitialState))),
        "down_timer_adverts": draw(st.integers(1, 100)),
    }


def _garp(draw: st.DrawFn, *, strict: bool) -> GratuitousArp:
    whole = st.integers(0, 999).map(float)
    lower = (0, 0.0) if strict else (draw(st.integers(1, 99)), draw(whole))
    return GratuitousArp(
        draw(st.integers(1, 99)), draw(whole), draw(whole), draw(st.integers(1, 99)), *lower, draw(whole)
    )


def _security(draw: st.DrawFn, version: int, *, strict: bool, master: bool, owner: bool) -> dict[str, Any]:
    choice = draw(st.sampled_from(["none", "password", "hmac"]))
    if choice == "hmac":
        keys = draw(st.dictionaries(st.integers(1, 255), st.binary(min_size=32, max_size=64), min_size=1, max_size=3))
        mode = HmacMode.ENFORCE if strict else draw(st.sampled_from(list(HmacMode)))
        active = draw(st.sampled_from(sorted(keys)))
        return {"hmac": HmacAuthentication(keys, active, draw(st.booleans()), draw(st.integers(1, 300)), mode)}
    if choice == "none" or version == 3 or strict:
        return {}
    kind = AuthType.PASS if master and not owner else draw(st.sampled_from([AuthType.PASS, AuthType.AH]))
    return {"authentication": Authentication(kind, draw(PLAIN | st.just("a b#{}")).encode())}


@st.composite
def instances(draw: st.DrawFn, name: str, virtual_router_id: int, known: list[Tracker], *, weights: bool) -> Instance:
    """Return a virtual router; ``known`` are what it may track."""
    family = draw(st.sampled_from([4, 6]))
    version = 3 if family == 6 else draw(st.sampled_from([2, 3]))
    strict = draw(st.booleans())
    priority = draw(st.sampled_from([255, 1, 100]) | st.integers(1, 254))
    owner = priority == 255
    decided = _strictly(draw, strict=strict, owner=owner, version=version)
    master = decided["initial_state"] is InitialState.MASTER
    preempt = owner or master or draw(st.booleans())
    own = draw(st.lists(addresses(family), min_size=1, max_size=4, unique_by=lambda one: one.ip))
    taken = {one.ip for one in own}
    more = draw(st.lists(addresses(4) | addresses(6), max_size=3, unique_by=lambda one: one.ip))
    transport = _transport(draw, family, strict=strict)
    unicast = isinstance(transport["transport"], Unicast)
    vmac = draw(
        st.sampled_from(
            [None, Vmac(addresses_only=True), Vmac(), Vmac("vrrp5"), Vmac("v", b"\x02\x00\x00\x00\x00\x09")]
        )
    )
    if vmac is not None and not vmac.addresses_only:
        vmac = replace(
            vmac, xmit_base=unicast or (not strict and draw(st.booleans())), address=None if strict else vmac.address
        )
    notify = draw(notify_scripts())
    intervals = st.integers(1, 255).map(float) if version == 2 else st.integers(1, 4095).map(lambda one: one / 100)
    interval = draw(intervals)
    return Instance(
        name,
        "eth0",
        virtual_router_id,
        priority=priority,
        advert_interval=interval,
        vip_lease=draw(st.none() | st.integers(shortest_lease(interval), 86400)),
        version=version,
        family=family,
        preempt=preempt,
        preempt_delay=draw(SECONDS) if preempt and not (owner or master or strict) else 0.0,
        timer_expired_backup=0.0 if preempt else draw(SECONDS),
        source=draw(st.none() | (ADDRESSES4 if family == 4 else ADDRESSES6)),
        track_source=draw(st.booleans()),
        track_primary=draw(st.booleans()),
        checksum_as_v2=draw(st.booleans()),
        skip_check_addresses=draw(st.booleans()),
        strict=strict,
        promote_secondaries=draw(st.booleans()) and (vmac is None or vmac.addresses_only),
        receive_buffer=draw(st.none() | st.integers(0, 9999)),
        vmac=vmac,
        addresses=tuple(own),
        excluded=tuple(one for one in more if one.ip not in taken),
        routes=tuple(draw(st.lists(routes(), max_size=2))),
        rules=tuple(draw(st.lists(rules(), max_size=2))),
        tracked=draw(tracked(known, weights=weights and not owner)),
        notify=notify,
        notify_priority_changes=draw(st.booleans()),
        notify_deleted=notify.deleted is not None or draw(st.booleans()),
        smtp_alert=draw(st.booleans()),
        garp=_garp(draw, strict=strict),
        debug=draw(st.integers(0, 4)),
        **transport,
        **decided,
        **_security(draw, version, strict=strict, master=master, owner=owner),
    )


@st.composite
def settings_of_daemons(draw: st.DrawFn) -> GlobalSettings:
    """Return ``global_defs``; scripts name their users, so that ``script_user`` stays out of the way."""
    fifo = st.none() | st.builds(Fifo, PLAIN.map(lambda one: "/run/" + one), st.none() | SCRIPTS)
    delay = draw(st.just(0.0) | SECONDS)
    dynamic = draw(st.booleans())
    spaced = st.builds(Spacing, st.just(0.0) | SECONDS, SECONDS)
    return GlobalSettings(
        router_id=draw(st.just("") | NAMES),
        script_security=draw(st.booleans()),
        startup_delay=delay,
        delay_after_boot=delay > 0 and draw(st.booleans()),
        dynamic_interfaces=dynamic,
        allow_interface_changes=dynamic and draw(st.booleans()),
        disable_local_igmp=draw(st.booleans()),
        log_unknown_vrids=draw(st.booleans()),
        minimal_garp=draw(st.booleans()),
        spacing=draw(st.dictionaries(st.just("") | INTERFACES, spaced, max_size=3)),
        settling=draw(st.dictionaries(INTERFACES, st.builds(Settling, SECONDS, SECONDS), max_size=2)),
        fifo=draw(fifo),
        vrrp_fifo=draw(fifo),
        fifo_states_on_reload=draw(st.booleans()),
        nftables_table=draw(st.sampled_from(["keepalived", "mine"])),
        nftables_priority=draw(st.integers(-9, 9)),
        startup_script=draw(st.none() | SCRIPTS),
        startup_script_timeout=float(draw(st.integers(1, 1000))),
        shutdown_script=draw(st.none() | SCRIPTS),
        dumps=draw(st.sampled_from([Dumps(), Dumps("/a", "/b", "/c", 2)])),
        reloading=draw(st.sampled_from([Reloading(), Reloading("/t", repeat=True, file="/f"), Reloading(file="")])),
        process=draw(
            st.sampled_from(
                [
                    ProcessSettings(),
                    ProcessSettings(9, 10, -3, frozenset({0, 2}), no_swap=True, umask=0o22, name="x"),
                    ProcessSettings(max_auto_priority=-1, min_auto_priority_delay=9),
                ]
            )
        ),
        namespace=draw(st.none() | PLAIN),
        instance_name=draw(st.none() | PLAIN),
        use_pid_dir=draw(st.booleans()),
        random_seed=draw(st.none() | st.integers(0, 99)),
        vmac_prefix=draw(st.sampled_from(["vrrp", "v"])),
        http=draw(st.sampled_from([None, ("127.0.0.1", 9650), ("::1", 80)])),
    )


@st.composite
def configurations(draw: st.DrawFn) -> Configuration:
    """Return a whole configuration: every tracker is tracked, every member exists."""
    names = draw(st.lists(NAMES, min_size=1, max_size=3, unique=True))
    known = [draw(trackers(name)) for name in draw(st.lists(NAMES, max_size=3, unique=True))]
    grouped = draw(st.booleans())
    group = SyncGroup(
        "G 1",
        tuple(names),
        draw(tracked(known)),
        draw(notify_scripts(group=True)),
        draw(st.booleans()),
        draw(st.booleans()),
        draw(st.booleans()),
    )
    weights = not grouped or group.uses_weights
    routers = [draw(instances(name, number, known, weights=weights)) for number, name in enumerate(names, start=1)]
    static = draw(st.lists(addresses(4, static=True) | addresses(6, static=True), max_size=2))
    return Configuration(
        tuple(routers),
        scripts=tuple(one for one in known if isinstance(one, TrackScript)),
        settings=draw(settings_of_daemons()),
        groups=(group,) if grouped else (),
        files=tuple(one for one in known if isinstance(one, TrackFile)),
        processes=tuple(one for one in known if isinstance(one, TrackProcess)),
        urls=tuple(one for one in known if isinstance(one, TrackHttp)),
        static_addresses=tuple(replace(one, track_group="T G") for one in static),
        static_routes=tuple(draw(st.lists(routes(), max_size=1))),
        static_rules=tuple(draw(st.lists(rules(), max_size=1))),
        track_groups=(TrackGroup("T G", (names[0],)),) if static else (),
    )
