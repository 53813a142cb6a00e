"""A LAN in memory around the production state machine: any failure on demand, and the same one again from its seed."""
