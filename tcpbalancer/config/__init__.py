"""Configuration: haproxy.cfg and YAML, both to ``tcpbalancer.model``; ``load.py`` alone opens files."""
