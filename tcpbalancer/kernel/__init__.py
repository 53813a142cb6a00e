"""The kernel's data plane: nftables choose a server and translate addresses, and no byte passes through a process.

Laws: this plane is one more worker. It reads the weights that workers read, it is woken by the bell that wakes them, it
takes the orders that they take, and it writes its counters into a row of its own beside theirs; so checks, states, the
runtime API, the statistics and a reload know nothing of it. What must stand in the kernel is a value (``wanted``), made
from the configuration and the weights (``plan``); how it is said to ``nft`` is known to ``ruleset`` alone; it is said
by a small process that keeps the one right which that takes (``executor``).

Sources: nft(8), conntrack(8); nf_nat, nf_conntrack and nft_dynset of Linux.
"""
