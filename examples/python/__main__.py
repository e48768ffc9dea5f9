"""A program with a registry, and with a team that may push to its part of it."""

import sys

import pulumi
import pulumi_kubernetes as kubernetes

# git clone https://github.com/<owner>/k3s-registry
sys.path.insert(0, "k3s-registry")

from components.pull_secrets import docker_config
from package.private_registry import PrivateRegistry

hostname = pulumi.Config().require("hostname")
registry = PrivateRegistry(
    "private-registry",
    {
        "hostname": hostname,
        "users": {"team": {"push": ["team/*"]}},
        "storage_region": "fra1",
        "tls_mode": "letsEncrypt",
        "tls_email": "you@example.com",
    },
)

# What the team's builds in the cluster log in with.
namespace = kubernetes.core.v1.Namespace("team", metadata={"name": "team"})
kubernetes.core.v1.Secret(
    "login",
    metadata={"name": "registry-push", "namespace": namespace.metadata.name},
    type="kubernetes.io/dockerconfigjson",
    string_data={
        ".dockerconfigjson": registry.users.apply(
            lambda users: docker_config(hostname=hostname, username="team", password=users["team"])
        )
    },
)
