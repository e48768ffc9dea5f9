"""The acceptance test of a real DigitalOcean account: docs/live.md.

What it creates has the run's name, which is random. Nothing else is ever changed or deleted, and
all of it is deleted at the end, however the run ends: by the run itself, or by `make live-clean`.
"""
