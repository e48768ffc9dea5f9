"""A private container registry on k3s that keeps its images in a DigitalOcean Space."""

import os

import pulumi

from components import (
    Credentials,
    CredentialsArgs,
    Edge,
    EdgeArgs,
    Proof,
    ProofArgs,
    Registry,
    RegistryArgs,
    Space,
    SpaceArgs,
)
from components.providers import cluster_provider, spaces_provider
from components.settings import load

settings, access = load(
    config=pulumi.runtime.get_config_env(),
    secret_keys=frozenset(pulumi.runtime.get_config_secret_keys_env()),
    environment=os.environ,
    project=pulumi.get_project(),
)
in_cluster = pulumi.ResourceOptions(provider=cluster_provider(access))

space = Space(
    "storage",
    SpaceArgs(
        endpoint=access.spaces_endpoint.replace("{{.Region}}", settings.storage.region),
        region=settings.storage.region,
        name_prefix=settings.storage.name_prefix,
        key_name=settings.hostname,
        protect=settings.storage.protect,
        force_destroy=settings.storage.force_destroy,
    ),
    opts=pulumi.ResourceOptions(provider=spaces_provider(access)),
)
credentials = Credentials("credentials", CredentialsArgs(admin_user=settings.admin_user))
registry = Registry(
    "registry",
    RegistryArgs(
        namespace=settings.namespace,
        image=settings.registry.image,
        replicas=settings.registry.replicas,
        parallel_uploads=settings.registry.parallel_uploads,
        cpu=settings.registry.resources.cpu,
        memory=settings.registry.resources.memory,
        ingress_namespace=settings.edge.ingress_namespace,
        storage=space.connection,
        htpasswd=credentials.htpasswd,
        http_secret=credentials.http_secret,
    ),
    opts=in_cluster,
)
Edge(
    "edge",
    EdgeArgs(
        namespace=registry.namespace,
        hostname=settings.hostname,
        service=registry.service,
        ingress_class=settings.edge.ingress_class,
        tls_secret=settings.tls.secret_name if settings.tls.mode == "secret" else None,
    ),
    opts=in_cluster,
)
Proof(
    "proof",
    ProofArgs(
        namespace=registry.namespace,
        url=registry.url,
        generation=registry.generation,
        image=settings.proof.image,
        username=credentials.username,
        password=credentials.password,
    ),
    opts=in_cluster,
)

pulumi.export("registry", settings.hostname)
pulumi.export("username", credentials.username)
pulumi.export("password", credentials.password)
pulumi.export(
    "login",
    "pulumi stack output password --show-secrets | "
    f"podman login {settings.hostname} --username {credentials.username} --password-stdin",
)
pulumi.export("bucket", space.bucket)
pulumi.export("endpoint", space.connection.endpoint)
