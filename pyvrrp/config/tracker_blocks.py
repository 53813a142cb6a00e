"""``track_file``, ``vrrp_track_process`` and our own ``vrrp_track_http``: one block to one tracker.

Laws: pure. Where keepalived corrects a value and carries on, so does this, with keepalived's message as a warning. The
URL of ``vrrp_track_http`` holds a number and no name: a resolver that hangs must not decide who is master.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

from pyvrrp.config.keywords import Keyword, Notes, Table
from pyvrrp.config.tree import Statement
from pyvrrp.config.values import decimal, whole
from pyvrrp.model import MAX_WEIGHT, TrackFile, TrackHttp, TrackProcess

MOST = 2**31 - 1
METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(slots=True)
class _Block:
    """What the three blocks have in common: a name, and a weight that may be given once."""

    statement: Statement
    notes: Notes
    weight: int | None = None
    reverse: bool = False

    @property
    def name(self) -> str:
        """The tracker's name."""
        return self.statement.parameters[0].text

    @property
    def kind(self) -> str:
        """The keyword of the block."""
        return self.statement.name

    def read_weight(self, statement: Statement, limit: int, wrong: str) -> None:
        """``weight N [reverse]`` within ``limit``; ``wrong`` is what is said of any other."""
        text, *options = (word.text for word in statement.parameters)
        if self.weight is not None:
            self.notes.warn(
                statement, f"Weight already set for {wrong.split(' must', maxsplit=1)[0]} - ignoring {text}"
            )
            return
        try:
            self.weight = whole(text, -limit, limit)
        except ValueError as reason:
            self.notes.warn(statement, str(reason))
            self.notes.warn(statement, f"Weight ({text}) for {wrong}")
            return
        if options and options[0] == "reverse":
            self.reverse = True
        elif options:
            self.notes.warn(statement, f"{self.kind} {self.name} unknown weight option {options[0]}")


@dataclass(slots=True)
class FileBlock(_Block):
    """A ``track_file`` block while it is read."""

    path: str = ""
    initial: int | None = None
    overwrite: bool = False

    def set_file(self, statement: Statement) -> None:
        """``file PATH``."""
        if self.path:
            text = statement.parameters[0].text
            self.notes.warn(statement, f"File already set for track file {self.name} - ignoring {text}")
        else:
            self.path = statement.parameters[0].text

    def set_weight(self, statement: Statement) -> None:
        """``weight N [reverse]``."""
        self.read_weight(
            statement, MOST, f"track_file {self.name} must be between [-{MOST}..{MOST}] inclusive. Ignoring..."
        )

    def set_init_file(self, statement: Statement) -> None:
        """``init_file [VALUE] [overwrite]``."""
        self.initial = self.initial or 0
        for word in (word.text for word in statement.parameters):
            if word == "overwrite":
                self.overwrite = True
                continue
            try:
                self.initial = whole(word, -MOST - 1, MOST)
            except ValueError:
                self.notes.warn(statement, f"Unknown track file init option {word}")
                continue
            if abs(self.initial) > 254:
                self.notes.warn(
                    statement,
                    f"Track file {self.name} init value {self.initial} is outside sensible range [-254, 254]",
                )

    def finish(self) -> TrackFile | None:
        """Return what the block says, or None if it has been dropped."""
        FILE.read(self, self.statement.block or (), self.notes)
        if not self.path:
            self.notes.error(self.statement, f"No file set for track_file {self.name}: add file /path/of/it")
            return None
        return TrackFile(
            self.name,
            self.path,
            weight=1 if self.weight is None else self.weight,
            reverse=self.reverse,
            initial=self.initial,
            overwrite=self.overwrite,
            location=self.statement.location,
        )


@dataclass(slots=True)
class ProcessBlock(_Block):
    """A ``vrrp_track_process`` block while it is read."""

    words: tuple[str, ...] = ()
    parameters: str | None = None
    full_command: bool = False
    quorum: int = 1
    quorum_max: int | None = None
    fork_delay: float = 0.0
    terminate_delay: float = 0.0

    def set_process(self, statement: Statement) -> None:
        """``process COMMAND [PARAMETER ...]``: a word in quotes is one element."""
        words = tuple(word.text for word in statement.parameters)
        if self.words:
            self.notes.warn(statement, f"Process already set for track process {self.name} - ignoring {words[0]}")
            return
        self.words = words

    def set_param_match(self, statement: Statement) -> None:
        """``param_match [initial|partial]``; without a word, the parameters have to be the same."""
        word = statement.parameters[0].text if statement.parameters else "exact"
        if word not in {"exact", "initial", "partial"}:
            self.notes.warn(statement, f"Invalid param_match type {word} - ignoring")
        else:
            self.parameters = word

    def set_weight(self, statement: Statement) -> None:
        """``weight N [reverse]``."""
        about = f"vrrp_track_process {self.name} must be between [-254..254] inclusive. Ignoring..."
        self.read_weight(statement, MAX_WEIGHT + 1, about)

    def set_quorum(self, statement: Statement) -> None:
        """``quorum N`` and ``quorum_max N``."""
        least = statement.name == "quorum"
        text, low = statement.parameters[0].text, 1 if least else 0
        try:
            number = whole(text, low, 65535)
        except ValueError as wrong:
            self.notes.warn(statement, str(wrong))
            name = "Quorum" if least else "quorum_max"
            self.notes.warn(
                statement,
                f"{name} ({text}) for vrrp_track_process {self.name}"
                f" must be between [{low}..65535] inclusive. Ignoring...",
            )
            return
        if least and self.quorum_max is not None and number > self.quorum_max:
            self.notes.warn(statement, "Quorum is greater than quorum_max - ignoring")
        elif least:
            self.quorum = number
        elif number < self.quorum and (number or self.quorum > 1):
            self.notes.warn(statement, "quorum_max is less than quorum - ignoring")
        else:
            self.quorum_max = number
            self.quorum = self.quorum if number else 0

    def set_delay(self, statement: Statement) -> None:
        """``delay S``, or one half of it."""
        text = statement.parameters[0].text
        try:
            seconds = decimal(text, 0.000001, 3600.0)
        except ValueError as wrong:
            self.notes.warn(statement, str(wrong))
            self.notes.warn(
                statement,
                f"{statement.name} ({text}) for vrrp_track_process {self.name}"
                " must be between [0.000001..3600] inclusive. Ignoring...",
            )
            return
        if statement.name != "fork_delay":
            self.terminate_delay = seconds
        if statement.name != "terminate_delay":
            self.fork_delay = seconds

    def set_full_command(self, statement: Statement) -> None:
        """``full_command``."""
        self.full_command = statement.name == "full_command"

    def finish(self) -> TrackProcess | None:
        """Return what the block says, or None if it has been dropped."""
        PROCESS.read(self, self.statement.block or (), self.notes)
        if not self.words or not self.words[0]:
            self.notes.error(self.statement, f"track process '{self.name}' process name not specified")
            return None
        parameters = self.parameters or ("exact" if len(self.words) > 1 else None)
        return TrackProcess(
            self.name,
            self.words,
            parameters=parameters,
            full_command=self.full_command or parameters is not None,
            weight=self.weight or 0,
            reverse=self.reverse,
            quorum=self.quorum,
            quorum_max=self.quorum_max,
            fork_delay=self.fork_delay,
            terminate_delay=self.terminate_delay,
            location=self.statement.location,
        )


@dataclass(slots=True)
class HttpBlock(_Block):
    """A ``vrrp_track_http`` block while it is read: ours alone, so that a mistake in it is an error."""

    url: str = ""
    statuses: tuple[tuple[int, int], ...] = ((200, 299),)
    method: str = "GET"
    interval: float = 2.0
    timeout: float = 1.0
    rise: int = 1
    fall: int = 1
    init_fail: bool = False

    def set_url(self, statement: Statement) -> None:
        """``url http[s]://ADDRESS[:PORT]/PATH``."""
        text = statement.parameters[0].text
        try:
            url = urlsplit(text)
            ip_address(url.hostname or "")
            _ = url.port
        except ValueError:
            url = None
        if url is None or url.scheme not in {"http", "https"} or any(not " " < one < "\x7f" for one in text):
            self.notes.error(
                statement, f"vrrp_track_http {self.name}: '{text}' is not a URL such as http://127.0.0.1:8008/health"
            )
            return
        self.url = text

    def set_status(self, statement: Statement) -> None:
        """``status N[-M] ...``."""
        try:
            self.statuses = tuple(_statuses(word.text) for word in statement.parameters)
        except ValueError as wrong:
            self.notes.error(statement, f"vrrp_track_http {self.name}: {wrong}")

    def set_method(self, statement: Statement) -> None:
        """``method GET|HEAD|OPTIONS``."""
        text = statement.parameters[0].text
        if text in METHODS:
            self.method = text
        else:
            self.notes.error(statement, f"vrrp_track_http {self.name}: '{text}' is not one of GET, HEAD, OPTIONS")

    def set_time(self, statement: Statement) -> None:
        """``interval S`` and ``timeout S``."""
        try:
            seconds = decimal(statement.parameters[0].text, 0.001, 4294.0)
        except ValueError as wrong:
            self.notes.error(statement, f"vrrp_track_http {self.name}: {statement.name}: {wrong}")
            return
        if statement.name == "interval":
            self.interval = seconds
        else:
            self.timeout = seconds

    def set_count(self, statement: Statement) -> None:
        """``rise N`` and ``fall N``."""
        try:
            number = whole(statement.parameters[0].text, 1, MOST)
        except ValueError as wrong:
            self.notes.error(statement, f"vrrp_track_http {self.name}: {statement.name}: {wrong}")
            return
        if statement.name == "rise":
            self.rise = number
        else:
            self.fall = number

    def set_weight(self, statement: Statement) -> None:
        """``weight N [reverse]``."""
        about = f"vrrp_track_http {self.name} must be between [-253..253] inclusive. Ignoring..."
        self.read_weight(statement, MAX_WEIGHT, about)

    def set_init_fail(self, statement: Statement) -> None:
        """``init_fail``."""
        self.init_fail = statement.name == "init_fail"

    def finish(self) -> TrackHttp | None:
        """Return what the block says, or None if an error has been noted."""
        HTTP.read(self, self.statement.block or (), self.notes)
        if not self.url:
            if not any(inner.name == "url" for inner in self.statement.block or ()):
                self.notes.error(self.statement, f"vrrp_track_http {self.name} has no url")
            return None
        return TrackHttp(
            self.name, self.url, self.statuses, self.method, self.interval, self.timeout, self.weight or 0,
            self.reverse, self.rise, self.fall, self.init_fail, self.statement.location,
        )  # fmt: skip


def _statuses(text: str) -> tuple[int, int]:
    first, dash, last = text.partition("-")
    try:
        pair = whole(first, 100, 599), whole(last if dash else first, 100, 599)
    except ValueError as wrong:
        raise ValueError(f"'{text}' is not a status such as 200, or a range such as 200-299") from wrong
    if pair[0] > pair[1]:
        raise ValueError(f"'{text}' ends before it begins")
    return pair


FILE: Table[FileBlock] = Table(
    {
        "file": Keyword(FileBlock.set_file, tier=2, default="required", about="The file whose number is read."),
        "weight": Keyword(
            FileBlock.set_weight,
            most=2,
            tier=2,
            default="1",
            about="By what the number is multiplied; 0: not 0 is FAULT.",
        ),
        "init_file": Keyword(
            FileBlock.set_init_file,
            parameters=0,
            most=2,
            tier=2,
            default="not made; 0",
            about="Writes a number at start if the file is not there, or in every case.",
        ),
    }
)
PROCESS: Table[ProcessBlock] = Table(
    {
        "process": Keyword(
            ProcessBlock.set_process, most=1024, tier=2, default="required", about="The command, and its parameters."
        ),
        "param_match": Keyword(
            ProcessBlock.set_param_match,
            parameters=0,
            most=1,
            tier=2,
            default="exact",
            about="How parameters are compared.",
        ),
        "weight": Keyword(ProcessBlock.set_weight, most=2, tier=2, default="0; -254 to 254", about="As of a script."),
        "quorum": Keyword(
            ProcessBlock.set_quorum, tier=2, default="1; 1 to 65535", about="Processes that have to run."
        ),
        "quorum_max": Keyword(
            ProcessBlock.set_quorum, tier=2, default="none; 0 to 65535", about="Processes that may run."
        ),
        "delay": Keyword(
            ProcessBlock.set_delay, tier=2, default="0 s; up to 3600", about="fork_delay and terminate_delay."
        ),
        "terminate_delay": Keyword(ProcessBlock.set_delay, tier=2, default="0 s", about="Seconds until a loss counts."),
        "fork_delay": Keyword(ProcessBlock.set_delay, tier=2, default="0 s", about="Seconds until a gain counts."),
        "full_command": Keyword(
            ProcessBlock.set_full_command, parameters=0, tier=2, default="off", about="Compares argv[0]."
        ),
    }
)
HTTP: Table[HttpBlock] = Table(
    {
        "url": Keyword(HttpBlock.set_url, default="required", about="The URL; its host is a number."),
        "status": Keyword(HttpBlock.set_status, most=32, default="200-299", about="The statuses that mean success."),
        "method": Keyword(HttpBlock.set_method, default="GET", about="GET, HEAD or OPTIONS."),
        "interval": Keyword(HttpBlock.set_time, default="2 s", about="Seconds between two requests."),
        "timeout": Keyword(HttpBlock.set_time, default="1 s", about="Seconds after which a request has failed."),
        "weight": Keyword(HttpBlock.set_weight, most=2, default="0; -253 to 253", about="As of a script."),
        "rise": Keyword(HttpBlock.set_count, default="1", about="Successes in a row until it counts as up."),
        "fall": Keyword(HttpBlock.set_count, default="1", about="Failures in a row until it counts as down."),
        "init_fail": Keyword(
            HttpBlock.set_init_fail, parameters=0, default="off", about="Down until it has succeeded rise times."
        ),
    }
)
