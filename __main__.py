"""A private container registry on k3s that keeps its images in a DigitalOcean Space."""

import gc

# The SDKs are a million objects that stay. To look for garbage among them, here and once more at
# the end, takes a quarter of a preview's time, and in a run of seconds there is none worth it.
gc.disable()

import os

import pulumi

from components import (
    Credentials,
    CredentialsArgs,
    Edge,
    EdgeArgs,
    Nodes,
    NodesArgs,
    Proof,
    ProofArgs,
    PullSecrets,
    PullSecretsArgs,
    Registry,
    RegistryArgs,
)
from components.connect import connect
from components.preflight import check_cluster
from components.providers import cluster_provider
from components.render.readme import readme
from components.render.upload_timeout import upload_limit
from components.settings import load

settings, access = load(
    config=pulumi.runtime.get_config_env(),
    secret_keys=frozenset(pulumi.runtime.get_config_secret_keys_env()),
    environment=os.environ,
    project=pulumi.get_project(),
)
stack = f"{pulumi.get_organization()}/{pulumi.get_project()}/{pulumi.get_stack()}"
check_cluster(settings, access, stack)
in_cluster = pulumi.ResourceOptions(provider=cluster_provider(access))

storage = connect(settings.storage, access, key_name=settings.hostname)
credentials = Credentials(
    "credentials", CredentialsArgs(admin_user=settings.admin_user, pull_user=settings.pull_user)
)
admin, pull = credentials.admin, credentials.pull
registry = Registry(
    "registry",
    RegistryArgs(
        namespace=settings.namespace,
        stack=stack,
        image=settings.registry.image,
        check_image=settings.proof.image,
        replicas=settings.registry.replicas,
        parallel_uploads=settings.registry.parallel_uploads,
        cpu=settings.registry.resources.cpu,
        memory=settings.registry.resources.memory,
        ingress_namespace=settings.edge.ingress_namespace,
        storage=storage,
        htpasswd=pulumi.Output.concat(admin.htpasswd, pull.htpasswd),
        http_secret=credentials.http_secret,
    ),
    opts=in_cluster,
)
Edge(
    "edge",
    EdgeArgs(
        namespace=registry.namespace,
        stack=stack,
        hostname=settings.hostname,
        service=registry.service,
        ingress_class=settings.edge.ingress_class,
        tls=settings.tls,
        writers=admin.htpasswd,
        upload_timeout=settings.edge.upload_timeout,
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
        username=admin.username,
        password=admin.password,
    ),
    opts=in_cluster,
)
nodes = Nodes(
    "nodes",
    NodesArgs(
        hostname=settings.hostname,
        username=pull.username,
        password=pull.password,
        choices=settings.nodes,
        namespace=settings.nodes_namespace,
        stack=stack,
        image=settings.proof.image,
    ),
    opts=in_cluster,
)
pull_secrets = PullSecrets(
    "pull-secrets",
    PullSecretsArgs(
        namespaces=settings.pull_secrets.namespaces,
        default_service_account=settings.pull_secrets.default_service_account,
        hostname=settings.hostname,
        username=pull.username,
        password=pull.password,
    ),
    opts=in_cluster,
)

limit = upload_limit() if settings.edge.upload_timeout is None else ""
pulumi.export("registry", settings.hostname)
pulumi.export("username", admin.username)
pulumi.export("password", admin.password)
pulumi.export("pull_username", pull.username)
pulumi.export("pull_password", pull.password)
pulumi.export(
    "login",
    "pulumi stack output password --show-secrets | "
    f"podman login {settings.hostname} --username {admin.username} --password-stdin",
)
pulumi.export("registries_yaml", nodes.registries_yaml)
pulumi.export("cloud_init", nodes.cloud_init)
pulumi.export("pull_secrets", pull_secrets.names)
pulumi.export("bucket", storage.bucket)
pulumi.export("endpoint", storage.endpoint)
pulumi.export(
    "readme",
    pulumi.Output.from_input(storage.bucket).apply(
        lambda bucket: readme(
            hostname=settings.hostname,
            admin=admin.username,
            pull=pull.username,
            image_prefix=settings.nodes.mirror_prefix or settings.hostname,
            tls=settings.tls.mode != "none",
            upload_limit=limit,
            bucket=bucket,
            created=settings.storage.kind == "spaces",
        )
    ),
)
if limit:
    pulumi.export("upload_limit", limit)
gc.freeze()
