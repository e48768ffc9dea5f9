"""The outputs of the stack."""

from __future__ import annotations

import pulumi

from components import PrivateRegistry
from settings import Settings


def export(settings: Settings, registry: PrivateRegistry) -> None:
    """Export everything that the stack hands over.

    The engine sorts names: the login line comes first, and what one needs less often after the
    long readme.
    """
    pulumi.export(
        "login",
        "pulumi stack output password --show-secrets | "
        f"podman login {settings.hostname} --username {settings.admin_user} --password-stdin",
    )
    for name, output in registry.outputs().items():
        pulumi.export(name, output)
    pulumi.export(
        "readme",
        registry.storage_bucket.apply(
            lambda bucket: readme(
                hostname=settings.hostname,
                admin=settings.admin_user,
                pull=settings.pull_user,
                image_prefix=settings.nodes.mirror_prefix or settings.hostname,
                one_minute=settings.ingress.controller == "traefik"
                and not (settings.ingress.by_tcp_route and settings.tls.mode != "none"),
                bucket=bucket,
                on_destroy=settings.storage.on_destroy
                if settings.storage.kind == "spaces"
                else "retain",
            )
        ),
    )


_README = """\
# {hostname}

A private container registry. `{admin}` may push and pull, `{pull}` may pull only.

## Log in

```bash
pulumi stack output password --show-secrets |
    podman login {hostname} --username {admin} --password-stdin
```

`docker login` takes the same arguments.

## Push and pull

```bash
podman pull docker.io/traefik/whoami
podman tag docker.io/traefik/whoami {hostname}/traefik/whoami
podman push {hostname}/traefik/whoami
podman pull {hostname}/traefik/whoami
```

{one_minute}## Let nodes pull

On each node, as root; on agents restart `k3s-agent` instead. This replaces a `registries.yaml` that
is there: where there is one, add the entries to it.

```bash
pulumi stack output registries_yaml --show-secrets |
    ssh <node> 'sudo install -m 0600 -D /dev/stdin /etc/rancher/k3s/registries.yaml &&
        sudo systemctl restart k3s'
kubectl run --image={image}/traefik/whoami test-whoami
```

New nodes get it from cloud-init: `pulumi stack output registries_cloud_init --show-secrets`.

## Push from CI

Add a user who may push where CI has to, and take its password from the stack:

```bash
pulumi config set --path 'users.ci.push[0]' 'team-a/*'
pulumi up
pulumi stack output users --show-secrets |
    python3 -c 'import json, sys; print(json.load(sys.stdin)["ci"])'
```

GitHub Actions, with the password as the secret `REGISTRY_PASSWORD`:

```yaml
- uses: docker/login-action@v3
  with:
    registry: {hostname}
    username: ci
    password: ${{{{ secrets.REGISTRY_PASSWORD }}}}
```

GitLab, with the password as the masked variable `REGISTRY_PASSWORD`:

```yaml
before_script:
  - printf %s "$REGISTRY_PASSWORD" | docker login {hostname} --username ci --password-stdin
```

Without the right to push somewhere, clients stop with 403 (`denied`): most at once,
`regctl image copy` after two minutes of silence.

## Check that it works

```bash
pulumi stack output password --show-secrets |
    python3 -m scripts.client.smoke_test https://{hostname} --username {admin} --password-file -
```

## Clean up

{clean_up}
"""

_ONE_MINUTE = """\
Traefik cuts the upload of a layer after 60 s: at 20 Mbit/s a layer can have 150 MB.

"""

_CLEAN_UP = {
    "protect": """\
The images are in the Space `{bucket}`, which is protected. To delete everything:

```bash
pulumi config set --path storage.onDestroy delete
pulumi up
pulumi destroy
```""",
    "retain": """\
`pulumi destroy` deletes everything but the images, which stay in the bucket `{bucket}`.""",
    "delete": """\
`pulumi destroy` deletes everything, the Space `{bucket}` and its images included.""",
}
"""The last section of the readme, by what `pulumi destroy` does to the bucket."""


def readme(
    *,
    hostname: str,
    admin: str,
    pull: str,
    image_prefix: str,
    one_minute: bool,
    bucket: str,
    on_destroy: str,
) -> str:
    """Return the stack's readme, in Markdown that also reads well as it is; no secret is in it."""
    return _README.format(
        hostname=hostname,
        admin=admin,
        pull=pull,
        image=image_prefix,
        one_minute=_ONE_MINUTE if one_minute else "",
        clean_up=_CLEAN_UP[on_destroy].format(bucket=bucket),
    )
