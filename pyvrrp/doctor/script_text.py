"""Which programs a shell script runs, as far as that can be seen without running it.

Laws: pure. It finds simple commands: the first word of each, in pipes, lists, conditions, loops and substitutions.
What the shell does itself, what the script defines, what it looks for first (``command -v``), and what only shows at
run time (``$TOOL``) is no finding: rather one program too few than one that is not run. POSIX.1-2017, Shell Command
Language.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

SHELLS = frozenset({"sh", "bash", "dash", "ash", "ksh"})
_WORDS = """
    . : [ [[ alias bg bind break builtin caller cd command compgen complete continue declare dirs disown echo enable
    eval exec exit export false fc fg getopts hash help history jobs kill let local logout mapfile popd printf pushd
    pwd read readarray readonly return set shift shopt source suspend test times trap true type typeset ulimit umask
    unalias unset wait
"""
BUILTINS = frozenset(_WORDS.split())
"""What POSIX shells and bash do themselves."""
LEADING = frozenset({"if", "then", "else", "elif", "while", "until", "do", "!", "time", "{", "}", "fi", "done", "exec"})
"""Words before a command that are none."""
HEADS = frozenset({"for", "case", "select", "function", "esac", "in"})
"""Words whose command names no program."""
LOOKING = frozenset({"command", "type", "which", "hash"})
"""Commands that look for a program: whoever asks first can do without it."""
DEEPEST = 40
"""Commands inside of commands."""
_HIDDEN = "\0"
"""Stands in a word for what is only known at run time."""
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*\+?=", re.ASCII)
_PROGRAM = re.compile(r"/?[A-Za-z0-9_][\w.+/-]*", re.ASCII)
_FUNCTION = re.compile(r"^\s*(?:function\s+)?([\w-]+)\s*\(\s*\)", re.MULTILINE | re.ASCII)


def interpreter(text: str) -> tuple[str, ...]:
    """Return the words of a script's first line, ``#!/usr/bin/env bash`` being ``bash``; none if it has no such one."""
    first = text.partition("\n")[0]
    words = first[2:].split() if first.startswith("#!") else []
    if words and words[0].rpartition("/")[2] == "env":
        words = [word for word in words[1:] if not word.startswith("-") and "=" not in word]
    return tuple(words)


def programs(text: str) -> tuple[str, ...]:
    """Return the names of the programs that a shell script seems to run, in their order, each once."""
    commands = list(_Scanner(text).commands())
    own = {match[1] for match in _FUNCTION.finditer(text)}
    own |= {word for words in commands if words[0] in LOOKING for word in words[1:]}
    found = (words[0] for words in commands)
    return tuple(dict.fromkeys(name for name in found if _PROGRAM.fullmatch(name) and name not in BUILTINS | own))


class _Scanner:
    """Cuts a script into simple commands."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._found: list[tuple[str, ...]] = []
        self._ends: list[str] = []
        """Words that end the here-documents that begin behind this line."""
        self._cases = 0
        self._depth = 0

    def commands(self) -> Iterator[tuple[str, ...]]:
        """Yield the words of each simple command, without assignments and what leads to it."""
        while self._at < len(self._text):  # a closing bracket that nobody opened ends a list, not the script
            self._list("")
        for words in self._found:
            bare = _bare(words)
            if bare:
                yield bare

    def _list(self, closing: str) -> None:
        """Read commands until ``closing``, which is taken along, or the end."""
        self._depth += 1
        if self._depth > DEEPEST:  # nobody writes this: what is left is not looked at
            self._at = len(self._text)
        self._commands_until(closing)
        self._depth -= 1

    def _commands_until(self, closing: str) -> None:
        words: list[str] = []
        word: str | None = None
        redirected = False
        while self._at < len(self._text):
            character = self._text[self._at]
            if character in " \t\n;&|()`<>" or (character == "#" and word is None):
                if word is not None and not redirected:
                    words.append(word)
                redirected = redirected and word is None and character in " \t"
                word = None
                if character in " \t":
                    self._at += 1
                elif character in "<>":
                    redirected = self._redirection()
                else:
                    ends_pattern = character == ")" and words[:1] == ["case"]
                    words = self._separated(character, words)
                    if not ends_pattern and (character == closing or (character == ")" and not closing)):
                        return
                continue
            word = (word or "") + self._piece(character)
        self._end([*words, word] if word is not None and not redirected else words)

    def _separated(self, character: str, words: list[str]) -> list[str]:
        """End the command ``words`` at a separator; returns the words of the next one, none."""
        self._at += 1
        self._end(words)
        if character == "\n":
            self._skip_documents()
        elif character == "#":
            self._at = self._until("\n")
        elif character in "(`":
            self._list(")" if character == "(" else "`")
        begins = words[:1] == ["case"] and character != ")"
        if self._cases and (begins or self._text[self._at - 2 : self._at] == ";;"):
            self._skip_pattern()
        return []

    def _end(self, words: list[str]) -> None:
        if words:
            self._found.append(tuple(words))
            self._cases += (words[0] == "case") - ("esac" in words[:1])

    def _piece(self, character: str) -> str:
        """Return what one character, or the quotation or expansion that it begins, adds to a word."""
        self._at += 1
        if character == "'":
            self._at = self._until("'") + 1
            return _HIDDEN
        if character == '"':
            self._quoted()
            return _HIDDEN
        if character == "\\":
            self._at += 1
            return self._text[self._at - 1 : self._at].strip("\n")
        if character == "$":
            self._expansion()
            return _HIDDEN
        return character

    def _quoted(self) -> None:
        while self._at < len(self._text) and self._text[self._at] != '"':
            character = self._text[self._at]
            self._at += 2 if character == "\\" else 1
            if character == "$":
                self._expansion()
            elif character == "`":
                self._list("`")
        self._at += 1

    def _expansion(self) -> None:
        """Pass what stands behind a ``$``; commands in it count."""
        if self._text.startswith("((", self._at):
            self._at = self._until("))") + 2
        elif self._text.startswith("(", self._at):
            self._at += 1
            self._list(")")
        elif self._text.startswith("{", self._at):
            self._at = self._until("}") + 1

    def _redirection(self) -> bool:
        """Pass ``<``, ``>`` and what belongs to it; returns whether the next word is its target."""
        document = re.compile(r"<<-?\s*(['\"]?)(\w+)\1").match(self._text, self._at)
        if document is not None:
            self._ends.append(document[2])
            self._at = document.end()
            return False
        operator = re.compile(r"[<>]+[&|]?").match(self._text, self._at)
        assert operator is not None
        self._at = operator.end()
        return True

    def _skip_documents(self) -> None:
        for end in self._ends:
            found = re.compile(rf"^\t*{end}$", re.MULTILINE).search(self._text, self._at)
            self._at = len(self._text) if found is None else found.end()
        self._ends = []

    def _skip_pattern(self) -> None:
        """Pass the pattern of a ``case``, up to its bracket."""
        pattern = re.compile(r"\s*+(?!esac\b)[^)\n]*\)").match(self._text, self._at)
        self._at = self._at if pattern is None else pattern.end()

    def _until(self, what: str) -> int:
        found = self._text.find(what, self._at)
        return len(self._text) if found < 0 else found


def _bare(words: Sequence[str]) -> tuple[str, ...]:
    """Return a command without what leads to it; nothing if it names no program."""
    left = list(words)
    while left and (left[0] in LEADING or _ASSIGNMENT.match(left[0])):
        left.pop(0)
    return () if not left or left[0] in HEADS else tuple(left)
