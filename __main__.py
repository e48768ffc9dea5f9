"""A private container registry on k3s that keeps its images in a DigitalOcean Space."""

import os

import pulumi

import preflight
from settings import load
from settings.problems import ENDS_PROGRAM, explained_errors

ENDS_PROGRAM.set(True)

with explained_errors():
    settings, access = load(
        config=pulumi.runtime.get_config_env(),
        secret_keys=frozenset(pulumi.runtime.get_config_secret_keys_env()),
        environment=os.environ,
        project=pulumi.get_project(),
    )
    cluster = preflight.ask(settings, access)

    # Imported now: the SDK of Kubernetes takes as long as the cluster's responses.
    import outputs
    from components import PrivateRegistry
    from prerequisites import prerequisites

    args, opts = prerequisites(settings, access, cluster)

registry = PrivateRegistry("private-registry", args, opts)
outputs.export(settings, registry)
