"""A TCP load balancer: a supervisor that listens, checks and tells, and workers that move bytes."""
