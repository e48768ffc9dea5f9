"""The component's inputs. `make reference` writes this from settings/."""

# Annotations are types here, not text: the host of the component makes its schema of them.
from typing import NotRequired, TypedDict


class UserArgs(TypedDict):
    """What one more user may do."""

    push: NotRequired[list[str]]
    """The repositories that the user may push to, delete from and pull: team-a/app, all below
    team-a/*, or * for all."""
    pull: NotRequired[list[str]]
    """The repositories that the user may pull from, written likewise. Each user needs one in push
    or pull."""
    until: NotRequired[str]
    """The last day, in UTC, on which the user may log in, such as 2027-03-31."""


class ImmutableRuleArgs(TypedDict):
    """Tags of some repositories that stay what they are."""

    repositories: list[str]
    """The repositories: team/app, all below team/*, or * for all."""
    matching: NotRequired[list[str]]
    """Regular expressions of the tags, such as ^v[0-9], with anything before or after the match;
    all, if it is not set."""
    except_admin: NotRequired[bool]
    """Let the admin change and delete them all the same."""


class RetentionRuleArgs(TypedDict):
    """Which tags of some repositories stay: those that any clause keeps."""

    repositories: list[str]
    """The repositories: team/app, all below team/*, or * for all. With one of the next three:
    without one, no tag would stay."""
    last: NotRequired[int]
    """How many images stay that were pushed last."""
    days: NotRequired[int]
    """For how many days after its push a tag stays."""
    matching: NotRequired[list[str]]
    """Regular expressions of tags that stay, such as ^v[0-9], with anything before or after the
    match; .* keeps all."""


class PrivateRegistryArgs(TypedDict):
    """The program's settings, each with the default that the README's table shows."""

    hostname: str
    """The name by which clients reach the registry, such as registry.example.com."""
    namespace: NotRequired[str]
    """The Kubernetes namespace that is created for the registry."""
    admin_user: NotRequired[str]
    """The user who may push and pull everything."""
    pull_user: NotRequired[str]
    """The user who may only pull, and everything, such as the cluster's nodes."""
    rotation: NotRequired[int]
    """The generation of all passwords and keys. A greater one makes new ones; passwords of the
    generation before stay valid."""
    users: NotRequired[dict[str, UserArgs]]
    """More users by name, and what they may do."""
    storage_region: NotRequired[str]
    """The datacenter region of the Space, best the cluster's. One of ams3, atl1, blr1, fra1, lon1,
    nyc3, sfo2, sfo3, sgp1, syd1, tor1."""
    storage_name_prefix: NotRequired[str]
    """The start of the Space's name; a random suffix follows."""
    storage_on_destroy: NotRequired[str]
    """What pulumi destroy does to the Space: protect refuses to destroy it, retain leaves it and
    its images in the account, delete deletes both."""
    registry_image: NotRequired[str]
    """CNCF distribution, 3.1.2 or newer."""
    registry_replicas: NotRequired[int]
    """Pods; two or more are spread over nodes. From 1 to 20."""
    registry_parallel_uploads: NotRequired[int]
    """Layers that may be uploaded to one pod at a time; more wait. It sets the registry's memory
    limit, and is more than the users who may push, each of whom has a place. From 1 to 1000."""
    registry_redirect: NotRequired[bool]
    """Let clients download layers from the storage itself, which they must reach."""
    registry_read_only: NotRequired[bool]
    """Refuse pushes and deletes, such as while images move."""
    registry_proxy_image: NotRequired[str]
    """Caddy, 2.11.0 or newer, the auth proxy in the same pod."""
    registry_resources_cpu: NotRequired[str]
    """What the scheduler reserves for the registry in each pod: cores, such as 1, or thousandths of
    one, such as 50m. There is no limit; its process for manifests and the auth proxy have the same
    each."""
    registry_resources_memory: NotRequired[str]
    """The memory that is reserved for the registry in each pod, in bytes with a binary unit; the
    two others have 32Mi each."""
    ingress_controller: NotRequired[str]
    """The ingress controller. gateway is any that implements the Gateway API; the sandbox runs
    Traefik's only. One of traefik, gateway."""
    ingress_class_name: NotRequired[str]
    """Traefik's IngressClass."""
    ingress_gateway: NotRequired[str]
    """With gateway: namespace/name/listener of a Gateway of yours, such as
    gateways/public/https."""
    ingress_controller_namespace: NotRequired[str]
    """The namespace of the controller's pods; only pods of that namespace reach the registry's."""
    ingress_host_network: NotRequired[bool]
    """Its pods are in their nodes' network, where no network policy tells them from others: then
    all pods reach the registry's."""
    ingress_tcp_route: NotRequired[bool]
    """Traefik terminates TLS and passes connections on, which may take any time. false lets it pass
    requests on, if HTTP middlewares are needed on port 443; it cuts those that take more than a
    minute."""
    tls_client_ca: NotRequired[str]
    """With mode secret, letsEncrypt, acme or certManager: Certificates, in PEM, of the CAs that
    sign clients' certificates; clients without one are refused."""
    tls_mode: NotRequired[str]
    """Who terminates TLS, and with which certificate. secret: A certificate that somebody puts into
    a Secret. letsEncrypt: A certificate from Let's Encrypt, or another ACME server. acme: A
    certificate that Traefik gets itself. certManager: A certificate that cert-manager gets. none:
    No TLS: a Gateway, or something in front of the ingress, terminates it."""
    tls_secret_name: NotRequired[str]
    """With mode secret: The Secret of type kubernetes.io/tls with the certificate, in the
    registry's namespace. With mode certManager: The Secret that cert-manager keeps the certificate
    in."""
    tls_email: NotRequired[str]
    """With mode letsEncrypt: Your address, for the account with Let's Encrypt."""
    tls_ca_server: NotRequired[str]
    """With mode letsEncrypt: The URL of the directory of an ACME server."""
    tls_ca_certificates: NotRequired[str]
    """With mode letsEncrypt: Certificates, in PEM, of the CA that signed that server's, if it is
    not a public one."""
    tls_resolver: NotRequired[str]
    """With mode acme: The certificate resolver in Traefik's own configuration; k3s' has none."""
    tls_issuer: NotRequired[str]
    """With mode certManager: The issuer's name."""
    tls_issuer_kind: NotRequired[str]
    """With mode certManager: Whether the issuer is the cluster's, or of the registry's namespace.
    One of ClusterIssuer, Issuer."""
    dns_zone: NotRequired[str]
    """An existing domain of the DigitalOcean account, which gets the DNS records of the
    hostname."""
    dns_addresses: NotRequired[list[str]]
    """The ingress controller's addresses for clients, if not those that it reports."""
    nodes_mirror_prefix: NotRequired[str]
    """A name that image references may start with instead of the hostname, such as example.com for
    images called example.com/app."""
    nodes_override_docker_io: NotRequired[bool]
    """Pull images of docker.io from the registry, and only from there."""
    nodes_ca_file: NotRequired[str]
    """The file on the nodes with the CA that signed the registry's certificate, if they do not
    trust it already."""
    nodes_configure: NotRequired[bool]
    """Let a DaemonSet write registries.yaml on all nodes, and restart k3s there."""
    nodes_share: NotRequired[bool]
    """Let k3s' embedded mirror pull the registry's images from other nodes, where they need no
    login."""
    pull_secrets_namespaces: NotRequired[list[str]]
    """Existing namespaces that get a pull Secret."""
    pull_secrets_default_service_account: NotRequired[bool]
    """Let all pods there use it, by their default service account."""
    immutable: NotRequired[dict[str, ImmutableRuleArgs]]
    """Tags that stay what they are, as rules by name."""
    maintenance_enabled: NotRequired[bool]
    """Show the storage's usage, find lost images and remember what tags name."""
    maintenance_schedule: NotRequired[str]
    """When, in UTC, as a cron schedule such as 0 3 * * * or @daily."""
    maintenance_collect: NotRequired[bool]
    """Delete what no image has needed for keepDays; otherwise the CronJob only looks."""
    maintenance_keep_days: NotRequired[int]
    """For how many days what no image needs is kept, and can be restored. At most 365."""
    retention_dry_run: NotRequired[bool]
    """Only show what the rules and untaggedDays would delete."""
    retention_untagged_days: NotRequired[int]
    """For how many days manifests stay that no tag holds; forever, if it is not set."""
    retention_rules: NotRequired[dict[str, RetentionRuleArgs]]
    """Rules by name. The one with the most specific pattern for a repository decides; without one,
    all its tags stay."""
    page_enabled: NotRequired[bool]
    """Serve a page at https://<hostname>/ that shows repositories, tags and usage after the same
    login."""
    scan_enabled: NotRequired[bool]
    """Scan all images that tags name."""
    scan_schedule: NotRequired[str]
    """When, in UTC, as a cron schedule."""
    scan_database: NotRequired[str]
    """Where Trivy's database is. In this registry, as a copy or in a cache, the scan needs no
    Internet."""
    scan_image: NotRequired[str]
    """Trivy, 0.70.0 or newer."""
    monitoring_enabled: NotRequired[bool]
    """Serve metrics, and tell Prometheus's operator of them, of alerts and of a dashboard."""
    monitoring_namespace: NotRequired[str]
    """The namespace of Prometheus's pods, which alone reach the metrics."""
    scripts_image: NotRequired[str]
    """Has Python 3.9 or newer as python3."""
