"""Every privileged act of the daemon: raw sockets, addresses and links, gratuitous ARP."""
