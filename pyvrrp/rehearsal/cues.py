"""What is to happen when: ``lb1: script chk fails``, read as a person writes it.

Laws: pure. A line is a router, a colon, and one of FORMS. Any text gives faults or a CueError, which names what could
stand in the place of the word that is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from hakit.diagnostics import did_you_mean
from pyvrrp.doctor.node import Node
from pyvrrp.doctor.stage import interfaces_of
from pyvrrp.model import Configuration, TrackerKind
from pyvrrp.simulation.checks import Outcome
from pyvrrp.simulation.faults import (
    Check,
    Cut,
    Demote,
    Fault,
    Freeze,
    Heal,
    Isolate,
    Kill,
    LinkDown,
    LinkUp,
    Mute,
    Promote,
    Reading,
    Reload,
    Start,
    Stop,
    Thaw,
)

FORMS = (
    ("link down", "pulls its cables: the carrier is lost"),
    ("link down INTERFACE", "pulls this one"),
    ("link up", "plugs them in again"),
    ("link up INTERFACE", "plugs this one in"),
    ("isolate", "cuts it off in silence: the carrier stays, nothing passes"),
    ("hears nothing", "loses what would reach it; what it sends arrives (one-way loss)"),
    ("hears nothing from ROUTER", "loses what this one sends to it"),
    ("is not heard", "loses what it sends; what is sent to it arrives (one-way loss)"),
    ("is not heard by ROUTER", "loses what it sends to this one"),
    ("heal", "undoes the five above"),
    ("freeze", "stops the daemon where it stands (SIGSTOP), as a paused machine does"),
    ("thaw", "lets it go on (SIGCONT)"),
    ("kill", "ends it at once (SIGKILL); its addresses stay where they are"),
    ("stop", "ends it in good order (SIGTERM)"),
    ("start", "starts it"),
    ("script SCRIPT fails", "so ends every run from now on"),
    ("script SCRIPT succeeds", ""),
    ("script SCRIPT times out", ""),
    ("script SCRIPT cannot start", ""),
    ("script SCRIPT dies", "by a signal"),
    ("url URL fails", "so ends every request from now on"),
    ("url URL succeeds", ""),
    ("url URL times out", ""),
    ("process PROCESS gone", "what it watches has ended"),
    ("process PROCESS back", ""),
    ("file FILE holds NUMBER", "what stands in it from now on"),
    ("demote INSTANCE", "gives its addresses up, as with `pyvrrp ctl demote`"),
    ("promote INSTANCE", "becomes master now, as with `pyvrrp ctl promote`"),
    ("reload PATH", "reads another configuration (SIGHUP)"),
)
"""All that may stand behind the colon, and what it does; a word in capitals stands for a name that the files know."""
OUTCOMES = {
    "fails": Outcome.FAILS,
    "succeeds": Outcome.SUCCEEDS,
    "times out": Outcome.TIMES_OUT,
    "cannot start": Outcome.CANNOT_START,
    "dies": Outcome.DIES,
}
KINDS = {
    "script": TrackerKind.SCRIPT,
    "url": TrackerKind.HTTP,
    "process": TrackerKind.PROCESS,
    "file": TrackerKind.FILE,
}
Reads = Callable[[str, str], Configuration]
"""Reads the configuration at a path for the router of a name."""


class CueError(Exception):
    """A line that nobody understands; one sentence that says what could stand where it is wrong."""


FREE = {"NUMBER": "a number", "PATH": "the path of a file"}
"""Words in capitals that stand for anything of a kind, and that kind."""
Form = tuple[str, ...]
Names = Mapping[str, tuple[str, ...]]
"""What each of the other words in capitals may be, for one router."""
_FORMS: tuple[Form, ...] = tuple(tuple(form.split()) for form, _ in FORMS)


def read_cue(text: str, nodes: Sequence[Node], reads: Reads) -> list[Fault]:
    """Return the faults that ``text`` asks for; raises CueError, or what ``reads`` raises."""
    name, colon, rest = text.partition(":")
    node = next((one for one in nodes if one.name == name.strip()), None)
    if not colon or node is None:
        names = [one.name for one in nodes]
        guess = did_you_mean(name.strip(), names) if colon else ""
        raise CueError(f"'{text}' has to begin with a router and a colon: {_either(names)}{guess}")
    words = rest.split()
    form = _matching(text, words, _names(node, nodes))
    return list(_faults(form, words, node, nodes, reads))


def _names(node: Node, nodes: Sequence[Node]) -> Names:
    """Return what each word in capitals may be, for ``node``."""
    configuration = node.configuration
    return {
        "INTERFACE": interfaces_of(node),
        "ROUTER": tuple(one.name for one in nodes if one is not node),
        "SCRIPT": tuple(one.name for one in configuration.scripts),
        "URL": tuple(one.name for one in configuration.urls),
        "PROCESS": tuple(one.name for one in configuration.processes),
        "FILE": tuple(one.name for one in configuration.files),
        "INSTANCE": tuple(one.name for one in configuration.instances),
    }


def _matching(text: str, words: Sequence[str], names: Names) -> Form:
    left = _FORMS
    for place, word in enumerate(words):
        fitting = tuple(form for form in left if len(form) > place and _fits(form[place], word, names))
        if not fitting and all(len(form) <= place for form in left):
            raise CueError(f"'{text}': '{word}' is a word too many")
        if not fitting:
            could, guess = _could_stand(left, place, names, word)
            raise CueError(f"'{text}': '{word}' cannot stand there, but {could}{guess}")
        left = fitting
    whole = next((form for form in left if len(form) == len(words)), None)
    if whole is None:
        raise CueError(f"'{text}' ends too early: what could follow is {_could_stand(left, len(words), names)[0]}")
    return whole


def _fits(step: str, word: str, names: Names) -> bool:
    if step == "NUMBER":
        return word.isascii() and word.removeprefix("-").isdecimal() and len(word) < 10
    return word in names.get(step, ()) if step in names else step in {word, "PATH"}


def _could_stand(forms: Sequence[Form], place: int, names: Names, word: str = "") -> tuple[str, str]:
    """Return what could stand at ``place``, and which of it was probably meant by ``word``."""
    steps = dict.fromkeys(form[place] for form in forms if len(form) > place)
    known = [name for step in steps for name in names.get(step, ())]
    literal = {step: _phrase(forms, place, step) for step in steps if not step.isupper()}
    free = [FREE[step] for step in steps if step in FREE]
    missing = [f"a {step.lower()}, of which its file has none" for step in steps if step in names and not names[step]]
    return _either([*known, *literal.values(), *free] or missing), did_you_mean(word, [*known, *literal])


def _phrase(forms: Sequence[Form], place: int, step: str) -> str:
    """Return ``step`` with the words behind it, as far as nothing else can stand there."""
    ahead = [form[place:] for form in forms if len(form) > place and form[place] == step]
    shared = 1
    while all(len(form) > shared for form in ahead) and len({form[shared] for form in ahead}) == 1:
        if ahead[0][shared].isupper():
            break
        shared += 1
    return " ".join(ahead[0][:shared])


def _either(choices: Sequence[str]) -> str:
    return f"{', '.join(choices[:-1])} or {choices[-1]}" if len(choices) > 1 else "".join(choices)


def _faults(form: Form, words: Sequence[str], node: Node, nodes: Sequence[Node], reads: Reads) -> Iterator[Fault]:
    name, last = node.name, words[-1]
    match form:
        case ("link", way, *_):
            kind = LinkDown if way == "down" else LinkUp
            yield from (kind(name, one) for one in (words[2:] or interfaces_of(node)))
        case ("hears", "nothing", *_):
            yield Cut(last, name) if len(words) > 2 else Mute(name)
        case ("is", "not", "heard", *_):
            others = [last] if len(words) > 3 else [one.name for one in nodes if one is not node]
            yield from (Cut(name, other) for other in others)
        case ("reload", _):
            yield Reload(name, reads(last, name))
        case ("demote" | "promote" as verb, _):
            yield (Demote if verb == "demote" else Promote)(name, last)
        case ("script" | "url" as kind_of, _, *ending):
            yield Check(name, (KINDS[kind_of], words[1]), OUTCOMES[" ".join(ending)])
        case ("process" | "file" as kind_of, _, *ending):
            value = last == "back" if kind_of == "process" else int(last)
            yield Reading(name, (KINDS[kind_of], words[1]), value)
        case _:
            yield SIMPLE[words[0]](name)


SIMPLE: Mapping[str, Callable[[str], Fault]] = {
    "isolate": Isolate,
    "heal": Heal,
    "freeze": Freeze,
    "thaw": Thaw,
    "kill": Kill,
    "stop": Stop,
    "start": Start,
}
