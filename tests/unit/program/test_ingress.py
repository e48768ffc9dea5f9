"""The way in, against mocks: who may do what, over which TLS."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from tests.unit.program.conftest import CONFIG, Run
from tests.unit.program.engine import Engine, Secret

ROUTER = "traefik.ingress.kubernetes.io/router"
PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
MODES: dict[str, dict[str, Any]] = {
    "secret": {"mode": "secret"},
    "acme": {"mode": "acme"},
    "certManager": {"mode": "certManager", "issuer": "letsencrypt"},
    "none": {"mode": "none"},
}
ENCRYPTED = [mode for mode in MODES if mode != "none"]


def edge(run: Run, mode: str, **more: Any) -> Engine:
    return run({**CONFIG, "tls": {**MODES[mode], **more}})


def annotated(made: Engine) -> dict[str, str]:
    found: dict[str, str] = made.inputs("ingress-ingress")["metadata"]["annotations"]
    return found


def route(made: Engine) -> dict[str, Any]:
    found: dict[str, Any] = made.inputs("ingress-registry-read")["spec"]
    return found


@pytest.mark.parametrize("mode", MODES)
def test_only_writers_pass_the_ingress_which_takes_every_method(run: Run, mode: str) -> None:
    made = edge(run, mode)
    middlewares = annotated(made)[f"{ROUTER}.middlewares"].split(",")
    assert "registry-writers@kubernetescrd" in middlewares, "the pull user could push"
    assert made.inputs("ingress-writers")["spec"]["basicAuth"] == {
        "secret": "registry-writers",
        "realm": "registry",
    }, "the registry must see the login too, so the header must stay"


@pytest.mark.parametrize("mode", MODES)
def test_what_reads_passes_by_a_route_that_comes_first(run: Run, mode: str) -> None:
    (rule,) = route(edge(run, mode))["routes"]
    assert rule["match"] == (
        f"Host(`{CONFIG['hostname']}`) && PathPrefix(`/v2`) && (Method(`GET`) || Method(`HEAD`))"
    )
    longest = f"Host(`{'h' * 253}`) && PathPrefix(`/v2`)"
    assert rule["priority"] > len(longest), "a rule's length is the Ingress' priority"
    assert {"name": "writers"} not in rule["middlewares"], "the pull user could not pull"
    assert rule["services"] == [{"name": "registry", "port": "http"}], "one registry, one cache"


def test_the_pull_user_is_no_writer_but_known_to_the_registry(run: Run) -> None:
    made = run()
    (admin,) = made.inputs("ingress-registry-writers")["stringData"]["users"].splitlines()
    assert admin.startswith("admin:$2b$")
    users = made.inputs("registry-users")["stringData"]["htpasswd"].splitlines()
    assert [line.split(":")[0] for line in users] == ["admin", "pull"]
    assert isinstance(made.resources["ingress-registry-writers"].marked["stringData"], Secret)


@pytest.mark.parametrize("mode", ENCRYPTED)
def test_both_ways_in_have_the_same_tls(run: Run, mode: str) -> None:
    made = edge(run, mode)
    ingress, tls = annotated(made), route(made)["tls"]
    assert ingress[f"{ROUTER}.entrypoints"] == "websecure", "passwords must not travel in clear"
    assert ingress[f"{ROUTER}.tls"] == "true"
    assert route(made)["entryPoints"] == ["websecure"]
    assert ingress[f"{ROUTER}.tls.options"] == "registry-registry@kubernetescrd"
    assert tls["options"] == {"name": "registry"}, (
        "where two routers of a host differ, Traefik takes its default for both"
    )
    assert tls.get("certResolver") == ingress.get(f"{ROUTER}.tls.certresolver")
    secrets = [entry["secretName"] for entry in made.inputs("ingress-ingress")["spec"]["tls"]]
    assert secrets == ([] if mode == "acme" else [tls["secretName"]])


@pytest.mark.parametrize("mode", ENCRYPTED)
def test_old_tls_is_refused_and_browsers_are_told_to_stay_with_tls(run: Run, mode: str) -> None:
    made = edge(run, mode)
    option = made.inputs("ingress-registry")
    assert option["kind"] == "TLSOption"
    assert option["metadata"]["name"] != "default", "that would be every host's in the cluster"
    assert option["spec"] == {"minVersion": "VersionTLS12", "sniStrict": True}, (
        "a login behind the default certificate would teach users to ignore warnings"
    )
    assert made.inputs("ingress-hsts")["spec"]["headers"]["stsSeconds"] == 31536000
    assert "registry-hsts@kubernetescrd" in annotated(made)[f"{ROUTER}.middlewares"]
    assert route(made)["routes"][0]["middlewares"] == [{"name": "hsts"}]


def test_without_tls_nothing_speaks_of_it(run: Run) -> None:
    made = edge(run, "none")
    assert annotated(made)[f"{ROUTER}.entrypoints"] == "web"
    assert not [key for key in annotated(made) if key.startswith(f"{ROUTER}.tls")]
    assert route(made)["entryPoints"] == ["web"]
    assert "tls" not in route(made)
    assert route(made)["routes"][0]["middlewares"] == []
    assert not {"ingress-hsts", "ingress-registry"} & set(made.resources)


def test_acme_names_the_resolver_and_no_secret(run: Run) -> None:
    made = edge(run, "acme", resolver="mine")
    assert annotated(made)[f"{ROUTER}.tls.certresolver"] == "mine"
    assert not made.inputs("ingress-ingress")["spec"]["tls"]


@pytest.mark.parametrize(
    ("kind", "key"), [("ClusterIssuer", "cluster-issuer"), ("Issuer", "issuer")]
)
def test_cert_manager_is_told_the_issuer_and_the_secret_to_write(
    run: Run, kind: str, key: str
) -> None:
    made = edge(run, "certManager", issuerKind=kind, secretName="mine")
    found = {k: v for k, v in annotated(made).items() if k.startswith("cert-manager.io/")}
    assert found == {f"cert-manager.io/{key}": "letsencrypt"}
    assert made.inputs("ingress-ingress")["spec"]["tls"] == [
        {"hosts": [CONFIG["hostname"]], "secretName": "mine"}
    ]


@pytest.mark.parametrize("mode", ENCRYPTED)
def test_clients_without_a_certificate_of_the_given_ca_are_refused(run: Run, mode: str) -> None:
    made = edge(run, mode, clientCa=PEM)
    assert made.inputs("ingress-registry")["spec"]["clientAuth"] == {
        "secretNames": ["registry-client-ca"],
        "clientAuthType": "RequireAndVerifyClientCert",
    }
    assert made.inputs("ingress-registry-client-ca")["stringData"] == {"tls.ca": PEM}


def test_k3s_traefik_stays_as_it_is_and_an_output_tells_what_that_costs(run: Run) -> None:
    made = run()
    assert "ingress-upload-timeout" not in made.resources, "it changes every host of the cluster"
    assert "150 MB at 20 Mbit/s" in made.outputs["upload_limit"]


@pytest.mark.parametrize(("mode", "port"), [("secret", "websecure"), ("none", "web")])
def test_the_upload_timeout_is_that_of_the_registrys_entry_point(
    run: Run, mode: str, port: str
) -> None:
    made = run({**CONFIG, "tls": MODES[mode], "ingress": {"uploadTimeout": 600}})
    config = made.inputs("ingress-upload-timeout")
    assert (config["apiVersion"], config["kind"]) == ("helm.cattle.io/v1", "HelmChartConfig")
    assert config["metadata"]["name"] == "traefik", "k3s merges by name and namespace"
    assert config["metadata"]["namespace"] == "kube-system"
    assert yaml.safe_load(config["spec"]["valuesContent"]) == {
        "ports": {port: {"transport": {"respondingTimeouts": {"readTimeout": "600s"}}}}
    }
    assert "upload_limit" not in made.outputs, "it would no longer be true"


def test_everything_of_traefiks_is_told_the_ingress_class(run: Run) -> None:
    made = run({**CONFIG, "ingress": {"className": "internal"}})
    assert made.inputs("ingress-ingress")["spec"]["ingressClassName"] == "internal"
    told = made.inputs("ingress-registry-read")["metadata"]["annotations"]
    assert told == {"kubernetes.io/ingress.class": "internal"}
