"""A look at the cluster before anything is changed: what is somebody else's is not taken over."""

from __future__ import annotations

import json
import shlex
import subprocess
import textwrap
from collections.abc import Iterable
from typing import Any

import pulumi

from components.ingress.tls import entry_point
from components.ingress.upload_timeout import traefik_patch
from components.metadata import STACK_ANNOTATION
from components.pull_secrets import SECRET_NAME
from settings import Settings
from settings.commands import set_command
from settings.credentials import Access
from settings.problems import Problem, SettingsError
from settings.schema import TlsCertManager, TlsSettings

TIMEOUT_SECONDS = 10
"""For a cluster that does not answer; one that does takes a tenth of a second."""


def check_cluster(settings: Settings, access: Access, stack: str) -> None:
    """Refuse to go on where something of somebody else's is in the way.

    A cluster that cannot be asked is no reason to stop: a preview works without one.

    Args:
        settings: What is wanted.
        access: Which cluster.
        stack: The full name of this stack.

    Raises:
        SettingsError: With everything that is in the way.
    """
    try:
        found = look(settings, access)
    except (OSError, subprocess.SubprocessError) as error:
        told = error.stderr if isinstance(error, subprocess.CalledProcessError) else str(error)
        pulumi.log.warn(f"the cluster was not searched for conflicts: {told.strip()}")
        return
    if problems := conflicts(settings, stack, found) + unfit_namespaces(settings, found):
        raise SettingsError(problems)


def look(settings: Settings, access: Access) -> list[dict[str, Any]]:
    """Ask the cluster for what could be in the way.

    Args:
        settings: What is wanted.
        access: Which cluster.

    Returns:
        Namespaces, Ingresses and, where they matter, service accounts, the metadata of the Secret
        that cert-manager is to write, and the HelmChartConfig of k3s' Traefik.

    Raises:
        OSError: There is no kubectl.
        subprocess.SubprocessError: It could not ask.
    """
    everywhere = "--all-namespaces", "--output=json"
    kinds = "namespaces,ingresses.networking.k8s.io"
    if settings.pull_secrets.default_service_account:
        kinds += ",serviceaccounts"
    found = _kubectl(access, kinds, *everywhere)
    objects: list[dict[str, Any]] = json.loads(found)["items"]
    if isinstance(settings.tls, TlsCertManager):
        # The metadata only: what is in the Secret is none of our business.
        metadata = _kubectl(
            access,
            *("secret", settings.tls.secret_name, f"--namespace={settings.namespace}"),
            *("--ignore-not-found", "--output=jsonpath={.metadata}"),
        )
        if metadata:
            objects.append({"kind": "Secret", "metadata": json.loads(metadata)})
    if settings.ingress.upload_timeout:
        config = _kubectl(
            access,
            *("helmchartconfigs.helm.cattle.io", "traefik", "--namespace=kube-system"),
            *("--ignore-not-found", "--output=json"),
        )
        if config:
            objects.append(json.loads(config))
    return objects


def _kubectl(access: Access, *arguments: str) -> str:
    where = [f"--context={access.context}"] if access.context else []
    kubeconfig = access.kubeconfig or ""
    if kubeconfig:
        # Contents or a path, as the provider takes it.
        where.append(f"--kubeconfig={'/dev/stdin' if chr(10) in kubeconfig else kubeconfig}")
    asked = subprocess.run(
        ["kubectl", "get", *arguments, *where],
        input=kubeconfig,
        capture_output=True,
        text=True,
        check=True,
        timeout=TIMEOUT_SECONDS,
    )
    return asked.stdout


def conflicts(settings: Settings, stack: str, objects: Iterable[dict[str, Any]]) -> list[Problem]:
    """Tell what is in the way of a registry with these settings.

    Args:
        settings: What is wanted.
        stack: The full name of this stack.
        objects: What there is in the cluster.
    """
    problems = []
    created = {settings.namespace}
    if settings.nodes.configure:
        created.add(settings.nodes_namespace)
    for found in objects:
        metadata = found["metadata"]
        name, namespace = metadata["name"], metadata.get("namespace", "")
        annotations = metadata.get("annotations", {})
        if found["kind"] == "Namespace" and name in created:
            owner = annotations.get(STACK_ANNOTATION)
            if owner != stack:
                problems.append(_taken_namespace(name, owner, stack, settings.namespace))
        elif found["kind"] == "Ingress" and namespace != settings.namespace:
            hosts = [rule.get("host") for rule in found["spec"].get("rules", [])]
            if settings.hostname in hosts:
                problems.append(
                    Problem(
                        "hostname",
                        json.dumps(settings.hostname),
                        f"the Ingress {namespace}/{name} serves this host already",
                        f"{set_command(['hostname'], '<another>')}, or delete that Ingress",
                    )
                )
        elif found["kind"] == "Secret" and "cert-manager.io/issuer-name" not in annotations:
            problems.append(
                Problem(
                    "tls.secretName",
                    json.dumps(name),
                    f"the Secret {namespace}/{name} exists, and cert-manager did not make it",
                    set_command(["tls", "secretName"], f"{name}-cert-manager"),
                )
            )
        elif (
            found["kind"] == "HelmChartConfig"
            and settings.ingress.upload_timeout
            and annotations.get(STACK_ANNOTATION) != stack
        ):
            problems.append(_taken_traefik(settings.tls, settings.ingress.upload_timeout))
    return problems


def unfit_namespaces(settings: Settings, objects: Iterable[dict[str, Any]]) -> list[Problem]:
    """Tell which namespaces cannot get a pull Secret, or cannot let all their pods use it.

    Args:
        settings: What is wanted.
        objects: What there is in the cluster.
    """
    there = {
        (found["kind"], found["metadata"].get("namespace"), found["metadata"]["name"]): found
        for found in objects
    }
    problems = []
    for namespace in settings.pull_secrets.namespaces:
        if ("Namespace", None, namespace) not in there:
            problems.append(
                Problem(
                    "pullSecrets.namespaces",
                    json.dumps(namespace),
                    "expected a namespace that exists: pull Secrets go to namespaces of yours",
                    f"kubectl create namespace {namespace}",
                )
            )
        account = there.get(("ServiceAccount", namespace, "default"), {})
        others = {x["name"] for x in account.get("imagePullSecrets", [])} - {SECRET_NAME}
        if settings.pull_secrets.default_service_account and others:
            added = json.dumps(
                [{"op": "add", "path": "/imagePullSecrets/-", "value": {"name": SECRET_NAME}}]
            )
            problems.append(
                Problem(
                    "pullSecrets.defaultServiceAccount",
                    "true",
                    f"the default service account of {namespace} has pull Secrets already: "
                    f"{', '.join(sorted(others))}; its list has one owner, and they would be lost",
                    f"{set_command(['pullSecrets', 'defaultServiceAccount'], 'false')} && "
                    f"kubectl --namespace {namespace} patch serviceaccount default --type=json "
                    f"--patch={shlex.quote(added)}",
                )
            )
    return problems


def _taken_namespace(name: str, owner: str | None, stack: str, chosen: str) -> Problem:
    whose = f"it belongs to the stack {owner}" if owner else "this stack did not make it"
    adopt = f"kubectl annotate --overwrite namespace {name} {STACK_ANNOTATION}={stack}"
    return Problem(
        "namespace",
        json.dumps(name),
        f"the namespace exists, and {whose}",
        f"{set_command(['namespace'], f'{chosen}-2')}\n"
        f"       or hand it over, to be managed and one day deleted by this stack: {adopt}",
    )


def _taken_traefik(tls: TlsSettings, seconds: int) -> Problem:
    patch = textwrap.indent(traefik_patch(entry_point(tls), seconds).rstrip(), " " * 11)
    return Problem(
        "ingress.uploadTimeout",
        json.dumps(seconds),
        "the HelmChartConfig kube-system/traefik exists, and this stack did not make it",
        f"pulumi config rm --path ingress.uploadTimeout, and instead\n{patch}",
    )
