"""The texts that this program writes: pure functions from plain values to text."""
