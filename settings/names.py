"""Names that both the checks before an update and the components know."""

STACK_ANNOTATION = "registry/stack"
"""The full name of the stack that manages an object."""

PULL_SECRET = "registry-pull"  # noqa: S105 - the name of a Secret
"""The name of the Secret in each namespace, for the ``imagePullSecrets`` of pods."""

ACME_SECRET = "registry-acme"  # noqa: S105 - the name of a Secret
"""The Secret that the ACME client writes."""

SMOKE_TEST_USER = "smoke_test"
"""The user of the smoke test; the settings refuse others of that name."""

CACHE_FOLDER = "cache"
"""What is cached is pulled as repositories ``cache/<name>/...``."""

ROUTE_PRIORITY = 2**31 - 1001
"""The priority of the registry's routes: the most that Traefik takes on every platform. Otherwise
it is the length of a rule, and a longer one of somebody else's wins:
https://doc.traefik.io/traefik/reference/routing-configuration/http/routing/rules-and-priority/"""


def parent_domain(hostname: str) -> str:
    """Return the domain that a hostname is probably a name of; example.com is its own."""
    parent = hostname.partition(".")[2]
    return parent if "." in parent else hostname
