"""The namespaces, cgroup and host names of a sandbox, and the supervisor of its processes."""
