"""HAProxy's keywords that are known here but not carried out, and those that are refused: as data.

Laws: pure. What is on a list here is accepted with a warning that names it (design contract 4), in every section where
HAProxy takes it; what is nowhere is an error. The lists are the names that HAProxy itself prints (``-dKcfg,srv,bind``)
and those in the index of its configuration manual.
"""

from __future__ import annotations


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


GLOBAL = _words(
    """
    51degrees-allow-unmatched 51degrees-cache-size 51degrees-data-file 51degrees-difference 51degrees-drift
    51degrees-property-name-list 51degrees-property-separator 51degrees-use-performance-graph
    51degrees-use-predictive-graph anonkey cluster-secret cpu-affinity debug.counters deviceatlas-log-level
    deviceatlas-properties-cookie deviceatlas-separator force-cfg-parser-pause
    h1-do-not-close-on-insecure-transfer-encoding harden.reject-privileged-ports.quic httpclient.resolvers.disabled
    max-threads-per-group noktls ocsp-update.disable ocsp-update.httpproxy ocsp-update.maxdelay ocsp-update.mindelay
    ocsp-update.mode ssl-default-bind-client-sigalgs ssl-default-server-client-sigalgs ssl-default-server-sigalgs
    wurfl-cache-size wurfl-information-list wurfl-information-list-separator busy-polling ca-base close-spread-time
    cpu-map cpu-policy cpu-set crt-base default-path description deviceatlas-json-file dns-accept-family
    expose-experimental-directives expose-deprecated-directives external-check fd-hard-limit
    h1-accept-payload-with-any-method h1-case-adjust h1-case-adjust-file h2-workaround-bogus-websocket-clients
    harden.reject-privileged-ports.tcp httpclient.resolvers.id httpclient.resolvers.prefer httpclient.retries
    httpclient.ssl.ca-file httpclient.ssl.verify httpclient.timeout.connect issuers-chain-path key-base limited-quic
    max-spread-checks maxcompcpuusage maxcomprate maxpipes maxsslconn maxsslrate maxzlibmem
    no-memory-trimming no-quic noepoll noevports nogetaddrinfo nokqueue nopoll nosplice numa-cpu-mapping
    pp2-never-send-local prealloc-fd profiling.memory profiling.tasks server-state-base server-state-file set-var
    set-var-fmt shm-stats-file spread-checks ssl-default-bind-ciphers ssl-default-bind-ciphersuites
    ssl-default-bind-curves ssl-default-bind-options ssl-default-bind-sigalgs ssl-default-server-ciphers
    ssl-default-server-ciphersuites ssl-default-server-curves ssl-default-server-options ssl-dh-param-file ssl-engine
    ssl-load-extra-del-ext ssl-load-extra-files ssl-mode-async ssl-propquery ssl-provider ssl-provider-path
    ssl-security-level ssl-server-verify ssl-skip-self-issued-ca stats-file thread-group thread-groups thread-hard-limit
    trace unix-bind unsetenv resetenv warn-blocked-traffic-after wurfl-data-file
    """
)
"""Of ``global``; those of ``TUNE`` come on top."""

TUNE = frozenset(
    f"tune.{name}"
    for name in _words(
        """
        applet.zero-copy-forwarding buffers.limit buffers.reserve bufsize bufsize.large bufsize.small chksize
        cli.max-payload-size comp.maxlevel defaults.purge disable-fast-forward disable-zero-copy-forwarding
        epoll.mask-events events.max-events-at-once fail-alloc fd.edge-triggered fd.tables glitches.kill.cpu-usage
        h1.be.glitches-threshold h1.fe.glitches-threshold h1.zero-copy-fwd-recv h1.zero-copy-fwd-send
        h2.be.glitches-threshold h2.be.initial-window-size h2.be.max-concurrent-streams h2.be.max-frames-at-once
        h2.be.rxbuf h2.fe.glitches-threshold h2.fe.initial-window-size h2.fe.max-concurrent-streams
        h2.fe.max-frames-at-once h2.fe.max-rst-at-once h2.fe.max-total-streams h2.fe.rxbuf h2.header-table-size
        h2.initial-window-size h2.log-errors h2.max-concurrent-streams h2.max-frame-size h2.zero-copy-fwd-send
        http.cookielen http.logurilen http.maxhdr idle-pool.shared idletimer listener.default-shards
        listener.multi-queue lua.bool-sample-conversion lua.burst-timeout lua.forced-yield lua.log.loggers
        lua.log.stderr lua.maxmem lua.openlibs lua.service-timeout lua.session-timeout lua.task-timeout
        max-checks-per-thread max-rules-at-once maxaccept maxpollevents maxrewrite memory.hot-size
        notsent-lowat.client notsent-lowat.server pattern.cache-size peers.max-updates-at-once pipesize
        pool-high-fd-ratio pool-low-fd-ratio pt.zero-copy-forwarding
        rcvbuf.backend rcvbuf.client rcvbuf.frontend rcvbuf.server recv renice.runtime renice.startup ring.queues
        runqueue-depth sched.low-latency sndbuf.backend sndbuf.client sndbuf.frontend sndbuf.server ssl.cachesize
        ssl.capture-buffer-size ssl.capture-cipherlist-size ssl.certificate-compression ssl.default-dh-param
        ssl.force-private-cache ssl.hard-maxrecord ssl.keylog ssl.keyupdate-rate-limit ssl.lifetime ssl.maxrecord
        ssl.ocsp-update.maxdelay ssl.ocsp-update.mindelay ssl.ssl-ctx-cache-size stick-counters streams-elasticity
        takeover-other-tg-connections vars.check-max-size vars.global-max-size vars.proc-max-size vars.reqres-max-size
        vars.sess-max-size vars.txn-max-size zlib.memlevel zlib.windowsize zlibmemlevel zlibwindowsize
        """
    )
)
"""Of ``global``, without those of QUIC: none of them changes what could be seen here."""


def is_global(name: str) -> bool:
    """Whether HAProxy has this keyword in ``global``."""
    return name in GLOBAL or name in TUNE or name.startswith("tune.quic.")


PROXY = _words(
    """
    acl backlog be-unpublished capture compression
    cookie crt declare description dispatch dynamic-cookie-key email-alert errorfile errorfiles errorloc
    errorloc302 errorloc303 external-check filter-sequence force-be-switch force-persist
    guid hash-preserve-affinity http-after-response http-drop-request-header
    http-drop-response-header http-error http-response http-reuse http-send-name-header id ignore-persist
    load-server-state-from-file log-format-sd log-steps max-keep-alive-queue max-session-srv-conns
    quic-initial server-state-file-name server-template
    source stick stick-table tcp-check tcp-request tcp-response
    transparent unique-id-format unique-id-header use-server use_backend
    """
)
"""Of ``defaults``, ``frontend``, ``backend`` and ``listen``."""

ACCESS_RULES = _words("http-request tcp-request tcp-response")
"""Of those, what may keep clients out."""

DENIALS = _words("auth deny reject silent-drop tarpit")
"""Actions of such a rule that are refused: without them everybody would be let in."""

HTTP_ACTIONS_IN_WORDS = (
    "'wait-for-handshake', 'set-log-level', 'set-nice', 'use-service', 'sc-inc-gpc(*)', 'sc-inc-gpc0(*)', "
    "'sc-inc-gpc1(*)', 'sc-set-gpt(*)', 'sc-set-gpt0(*)', 'send-spoe-group', 'do-resolve(*)', 'cache-use', "
    "'add-acl(*)', 'add-header', 'allow', 'auth', 'capture', 'del-acl(*)', 'del-header', 'del-map(*)', 'deny', "
    "'disable-l7-retry', 'early-hint', 'normalize-uri', 'redirect', 'reject', 'replace-header', 'replace-path', "
    "'replace-pathq', 'replace-uri', 'replace-value', 'return', 'set-header', 'set-map(*)', 'set-method', 'set-path', "
    "'set-pathq', 'set-query', 'set-uri', 'strict-mode', 'tarpit', 'track-sc(*)', 'set-timeout', 'wait-for-body', "
    "'set-var-fmt(*)', 'set-var(*)', 'unset-var(*)', 'set-dst', 'set-dst-port', 'set-mark', 'set-src', "
    "'set-src-port', 'set-tos', 'silent-drop', 'set-priority-class', 'set-priority-offset'"
)
_HTTP_ACTIONS = frozenset(name.strip("'").removesuffix("(*)") for name in HTTP_ACTIONS_IN_WORDS.split(", ")) | _words(
    "add-headers-bin attach-srv del-headers-bin do-log on-error pause sc-add-gpc set-bc-mark set-bc-tos set-fc-mark "
    "set-fc-tos set-headers-bin set-retries track-sc0 track-sc1 track-sc2"
)


def is_http_action(name: str) -> bool:
    """Whether HAProxy has this action behind ``http-request``."""
    return name in _HTTP_ACTIONS or name.startswith("lua.")


OPTIONS = _words(
    """
    accept-invalid-http-request accept-invalid-http-response accept-unsafe-violations-in-http-request
    accept-unsafe-violations-in-http-response assume-rfc6587-ntf checkcache contstats
    disable-h2-upgrade dont-parse-log external-check forwardfor forwarded h1-case-adjust-bogus-client
    h1-case-adjust-bogus-server host http-buffer-request http-drop-request-trailers http-drop-response-trailers
    http-ignore-probes http-keep-alive http-no-delay http-pretend-keepalive http-restrict-req-hdr-names
    http-server-close http-use-htx http-use-proxy-header httpclose httpslog idle-close-on-response independant-streams
    originalto prefer-last-server socket-stats
    transparent use-small-buffers
    """
)
"""Behind ``option``."""

TIMEOUTS = frozenset({"handshake", "tarpit"})
"""Behind ``timeout``."""

STATS = frozenset({"show-modules"})
"""Behind ``stats`` in a proxy."""

SERVER = {
    **dict.fromkeys(
        _words(
            """
            agent-check allow-0rtt check-pool-conn-name check-reuse-pool check-send-proxy check-ssl force-sslv3
            force-tlsv10 force-tlsv11 force-tlsv12 force-tlsv13 no-agent-check no-check-send-proxy no-check-ssl
            no-check-reuse-pool no-check-sni-auto no-renegotiate no-sni-auto no-verifyhost renegotiate sni-auto
            check-sni-auto no-disabled no-send-proxy no-send-proxy-v2 no-send-proxy-v2-ssl no-send-proxy-v2-ssl-cn
            no-ssl no-ssl-reuse no-sslv3 no-tfo no-tls-tickets no-tlsv10 no-tlsv11 no-tlsv12 no-tlsv13 non-stick
            send-proxy send-proxy-v2 send-proxy-v2-ssl send-proxy-v2-ssl-cn ssl ssl-reuse stick strict-maxconn tfo
            tls-tickets
            """
        ),
        0,
    ),
    **dict.fromkeys(
        _words(
            """
            agent-addr agent-inter agent-port agent-send alpn ca-file cc check-alpn check-sni ciphers
            ciphersuites client-sigalgs cookie crl-file crt curves error-limit guid hash-key healthcheck idle-ping
            init-state interface ktls log-bufsize log-proto max-reuse namespace npn observe on-error
            on-marked-up pool-conn-name pool-low-conn pool-max-conn pool-purge-delay proto proxy-v2-options
            quic-cc-algo redir resolve-net resolve-opts resolve-prefer resolvers shard sigalgs slowstart sni source
            ssl-max-ver ssl-min-ver tcp-md5sig tcp-ut track usesrc verify verifyhost ws
            """
        ),
        1,
    ),
}
"""Behind ``server``: how many values each takes."""

BIND = {
    **dict.fromkeys(
        _words(
            """
            accept-proxy allow-0rtt defer-accept force-sslv3 force-tlsv10 force-tlsv11 force-tlsv12 force-tlsv13
            generate-certificates no-alpn no-ca-names no-sslv3 no-strict-sni no-tls-tickets no-tlsv10 no-tlsv11
            no-tlsv12 no-tlsv13 prefer-client-ciphers quic-force-retry ssl strict-sni tfo tls-tickets transparent v4v6
            v6only
            """
        ),
        0,
    ),
    **dict.fromkeys(
        _words(
            """
            accept-netscaler-cip alpn backlog ca-file ca-ignore-err ca-sign-file ca-sign-pass ca-verify-file cc
            ciphers ciphersuites client-sigalgs crl-file crt crt-ignore-err crt-list curves default-crt ecdhe ech
            expose-fd gid group guid-prefix id idle-ping interface ktls label level maxconn mode mss name namespace
            nbconn nice npn ocsp-update process proto quic-cc-algo quic-socket severity-output shards sigalgs
            ssl-max-ver ssl-min-ver tcp-md5sig tcp-ss tcp-ut thread tls-ticket-keys uid user verify
            """
        ),
        1,
    ),
}
"""Behind ``bind``: how many values each takes."""

CHANGES_THE_STREAM = _words(
    "accept-proxy check-ssl send-proxy send-proxy-v2 send-proxy-v2-ssl send-proxy-v2-ssl-cn ssl"
)
"""Options of ``bind`` and ``server`` that are refused: without them other bytes would flow than the file asks for."""

SILENT_BIND = frozenset({"name", "id", "process", "thread", "shards", "nice"})
"""Of those, what changes nothing that could be seen here."""

REFUSED_GLOBAL = _words("lua-load lua-load-per-thread lua-prepend-path")
REFUSED_PROXY = _words("filter persist use-fcgi-app")
REFUSED_SERVER = {"check-proto": 1, "check-via-socks4": 0, "socks4": 1}
"""Keywords that are refused as if HAProxy did not have them: what they are for would silently be missing. Behind the
options stands how many values each takes."""

SKIPPED_SECTIONS = _words("crt-store healthcheck http-errors log-profile namespace_list program resolvers traces")
"""Sections that are passed over with a warning."""

REFUSED_SECTIONS = _words("acme cache dynamic-update fcgi-app log-forward mailers peers ring")
"""Sections that are refused: what they are for would silently be missing."""
