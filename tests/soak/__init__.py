"""A long history of pushes, pulls and deletes, checked while the bucket is collected.

Two registries and an S3 server run on the loopback, without Kubernetes.
"""
