"""What k3s adds to Kubernetes: DNS, ingress, network policies, registries.yaml, a systemd unit."""

NAMESPACE = "kube-system"
"""Where k3s runs its components, and so the sandbox."""
