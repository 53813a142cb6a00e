"""A lab of Linux network namespaces that shows pyvrrp and tcpbalancer at work on real parts, and tests both."""
