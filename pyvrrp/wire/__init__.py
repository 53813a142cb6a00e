"""Bytes on the wire and what they spell: VRRP, IPv4, ARP. Pure: bytes in, values out, and back."""
