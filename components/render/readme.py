"""What the stack says to those who use the registry."""

from __future__ import annotations

_TEXT = """\
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
podman pull docker.io/containous/whoami
podman tag docker.io/containous/whoami {hostname}/containous/whoami
podman push {hostname}/containous/whoami
podman pull {hostname}/containous/whoami
```

{upload_limit}## Let nodes pull

On each node, as root; on agents restart `k3s-agent` instead:

```bash
pulumi stack output registries_yaml --show-secrets |
    ssh <node> 'sudo install -m 0600 -D /dev/stdin /etc/rancher/k3s/registries.yaml &&
        sudo systemctl restart k3s'
kubectl run --image={image}/containous/whoami test-whoami
```

New nodes get it from cloud-init: `pulumi stack output cloud_init --show-secrets`.

## Prove that it works

```bash
pulumi stack output password --show-secrets |
    python3 -m jobs.prove {scheme}://{hostname} --username {admin} --password-file -
```

## Clean up

{clean_up}
"""

_SPACE = """\
The images are in the Space `{bucket}`, which is protected. To delete everything:

```bash
pulumi config set --path storage.protect false
pulumi config set --path storage.forceDestroy true
pulumi up
pulumi destroy
```"""

_BUCKET = """\
`pulumi destroy` deletes everything but the images, which stay in the bucket `{bucket}`."""


def readme(
    *,
    hostname: str,
    admin: str,
    pull: str,
    image_prefix: str,
    tls: bool,
    upload_limit: str,
    bucket: str,
    created: bool,
) -> str:
    """Write the stack's readme, in Markdown that also reads well as it is; no secret is in it.

    Args:
        hostname: The registry's host name.
        admin: The name of who may push.
        pull: The name of who may pull only.
        image_prefix: What the names of images start with on nodes that were set up.
        tls: Whether Traefik ends TLS.
        upload_limit: How large a layer can be; empty if that was changed.
        bucket: The bucket that keeps the images.
        created: Whether this stack made it.
    """
    return _TEXT.format(
        hostname=hostname,
        admin=admin,
        pull=pull,
        image=image_prefix,
        scheme="https" if tls else "http",
        upload_limit=f"{upload_limit}\n\n" if upload_limit else "",
        clean_up=(_SPACE if created else _BUCKET).format(bucket=bucket),
    )
