"""Builds what a sandbox runs: tools from Go modules, Debian packages, container images."""
