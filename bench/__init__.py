"""Benchmarks: figures to publish, not tests; a slow machine fails nothing."""
