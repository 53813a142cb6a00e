"""Fixtures for tests on networks of namespaces."""
