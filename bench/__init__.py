"""Benchmarks: figures to publish, not tests; nothing here can fail because a machine is slow."""
