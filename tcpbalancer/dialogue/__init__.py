"""What is said in a check, and what an answer means.

Laws: pure. Bytes and facts come in, bytes and verdicts go out; who connects, waits and closes is
``tcpbalancer.checks``.
Whatever a server answers, the outcome is a verdict and never an exception.
"""
