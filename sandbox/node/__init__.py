"""One Kubernetes node: the configuration and the processes of Kubernetes itself."""
