"""The commands of the runtime API, a file for each subject; importing this room registers all of them."""

from __future__ import annotations

import importlib
import pkgutil

SUBJECTS = tuple(importlib.import_module(f"{__name__}.{found.name}") for found in pkgutil.iter_modules(__path__))
