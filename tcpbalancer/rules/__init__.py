"""Rules: who is let in, where a connection goes, and what is looked at to decide it.

Laws: pure. What a rule may know of a connection comes in as ``Facts``; a decision goes out. A sample that is not there
never matches. What may still come makes a test undecided, and whoever asks decides for how long that is waited for.

Source: HAProxy's configuration manual, chapter 7 "Using ACLs and fetching samples"; ``acl.c``, ``payload.c``.
"""
