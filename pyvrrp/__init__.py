"""A VRRP daemon: RFC 3768 and keepalived's additions, as one state machine without I/O and a thin shell around it."""
