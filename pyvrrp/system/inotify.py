"""Tells when a file is written, moved in or out, or deleted: inotify(7) on its folder, through the C library.

Laws: the folder is watched, not the file: an editor writes a new file and renames it. Nothing here blocks; what the
events say is not trusted, they are only the sign to look again.
"""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path

_CLOSE_WRITE, _MOVED, _CREATE, _DELETE, _DELETE_SELF, _MOVE_SELF = 0x8, 0xC0, 0x100, 0x200, 0x400, 0x800
_MASK = _CLOSE_WRITE | _MOVED | _CREATE | _DELETE | _DELETE_SELF | _MOVE_SELF
_ONLY_A_FOLDER = 0x01000000
_IGNORED = 0x8000
_UNMOUNT = 0x2000
_HEADER = 16
_SIZE = 16384


class FolderWatch:
    """One folder under watch; ``fileno`` becomes readable when something in it has changed."""

    def __init__(self, folder: Path) -> None:
        """Raises OSError if there is no such folder, or no watch is left (fs.inotify.max_user_instances)."""
        library = ctypes.CDLL(None, use_errno=True)
        self._descriptor: int = library.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._descriptor < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        if library.inotify_add_watch(self._descriptor, os.fsencode(folder), _MASK | _ONLY_A_FOLDER) < 0:
            number = ctypes.get_errno()
            self.close()
            raise OSError(number, os.strerror(number), str(folder))

    def fileno(self) -> int:
        """Return the descriptor, for the loop to watch."""
        return self._descriptor

    def drain(self) -> bool:
        """Take all events that wait; returns False if the folder is gone, and with it the watch."""
        alive = True
        while True:
            try:
                events = os.read(self._descriptor, _SIZE)
            except BlockingIOError:
                return alive
            at = 0
            while at < len(events):
                mask = int.from_bytes(events[at + 4 : at + 8], sys.byteorder)
                length = int.from_bytes(events[at + 12 : at + 16], sys.byteorder)
                alive = alive and not mask & (_IGNORED | _UNMOUNT | _DELETE_SELF | _MOVE_SELF)
                at += _HEADER + length

    def close(self) -> None:
        """End the watch."""
        os.close(self._descriptor)
