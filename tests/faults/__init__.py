"""Interrupted runs: what is left of them, and that the documented commands repair it."""
