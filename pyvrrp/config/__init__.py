"""Configuration text, keepalived.conf or YAML, to the one model; ``load.load`` is the door to it."""
