"""``tcpbalancer doctor``: what a configuration will not do, and why, though every line of it is valid.

``case.py`` is what the rules look at and how they speak; ``rules.py`` their table; ``proxies.py``, ``checking.py``,
``sessions.py``, ``access.py`` and ``live.py`` hold the rules, by subject. All of these are pure. ``reader.py`` takes
over what the reader of the files found; ``machine.py`` looks at this machine and asks the servers; ``command.py`` is
the verb.
"""
