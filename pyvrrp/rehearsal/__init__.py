"""``pyvrrp simulate``: the routers of some files on a LAN in memory, what is done to them, and what they do then."""
