"""Reads the configurations of all routers of a LAN together, and says what will not work, and why."""
