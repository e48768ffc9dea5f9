"""The configurations whose resources have golden files, each on top of the least one."""

from __future__ import annotations

from typing import Any

PEM = """\
-----BEGIN CERTIFICATE-----
MIHFMHmgAwIBAgIBATAFBgMrZXAwDTELMAkGA1UEAwwCY2EwHhcNMjYwMTAxMDAw
MDAwWhcNNDkwMTAxMDAwMDAwWjANMQswCQYDVQQDDAJjYTAqMAUGAytlcAMhAHft
LZBfkbZRet/oo5Kxsf1959mZwCBdr+BdCklo0AZxMAUGAytlcANBADmph6+T6tKU
HjSae4S8ekzqlaEywkSTedNxTW8Qcik/CyOK02toMh0GR6bstjFgdSCxiKUF5z6+
6NIzw5YF4w8=
-----END CERTIFICATE-----
"""
"""A CA's certificate, of a key that nobody has."""

S3 = {
    "kind": "s3",
    "endpoint": "https://s3.eu-central-1.amazonaws.com",
    "region": "eu-central-1",
    "bucket": "images",
    "accessKey": "AKIA",
    "secretKey": "hunter2",
    "pathStyle": False,
    "rootDirectory": "k3s",
}

MODES: dict[str, dict[str, Any]] = {
    "own-spaces-key": {
        "digitalocean:token": "token-of-own",
        "digitalocean:spacesAccessId": "DO00OWN",
        "digitalocean:spacesSecretKey": "secret-of-own",
        "digitalocean:spacesEndpoint": "https://spaces.example.com",
    },
    "s3": {"storage": S3},
    "s3-without-tls": {
        "storage": {
            "kind": "s3",
            "endpoint": "http://minio.minio.svc",
            "bucket": "images",
            "accessKey": "minio",
            "secretKey": "hunter2",
        }
    },
    "space-retained": {"storage": {"onDestroy": "retain"}},
    "space-deleted": {"storage": {"onDestroy": "delete"}},
    "tls-acme": {"tls": {"mode": "acme", "resolver": "mine"}},
    "tls-acme-without-tcp-route": {"tls": {"mode": "acme"}, "ingress": {"tcpRoute": False}},
    "dns": {"dns": {"zone": "example.com", "addresses": ["203.0.113.10", "2001:db8::10"]}},
    "dns-without-a-space": {
        "dns": {"zone": "registry.example.com", "addresses": ["203.0.113.10"]},
        "storage": S3,
        "tls": {"mode": "letsEncrypt", "email": "you@example.com"},
    },
    "tls-lets-encrypt": {"tls": {"mode": "letsEncrypt", "email": "you@example.com"}},
    "tls-lets-encrypt-other-server": {
        "ingress": {"tcpRoute": False},
        "tls": {
            "mode": "letsEncrypt",
            "email": "you@example.com",
            "caServer": "https://acme.example.com:14000/dir",
            "caCertificates": PEM,
        },
    },
    "tls-cert-manager": {"tls": {"mode": "certManager", "issuer": "letsencrypt"}},
    "tls-cert-manager-issuer": {
        "tls": {"mode": "certManager", "issuer": "mine", "issuerKind": "Issuer"}
    },
    "tls-client-ca": {"tls": {"clientCa": PEM}},
    "tls-none": {"tls": {"mode": "none"}},
    "tls-none-without-tcp-route": {"tls": {"mode": "none"}, "ingress": {"tcpRoute": False}},
    "users": {
        "users": {
            "ci": {"push": ["team-a/*"], "pull": ["base"]},
            "audit": {"pull": ["*"], "until": "2099-12-31"},
        },
    },
    "immutable": {
        "immutable": {
            "releases": {
                "repositories": ["team/*", "lib"],
                "matching": ["^v[0-9]", "-final$"],
            },
            "base": {"repositories": ["base"], "exceptAdmin": True},
        }
    },
    "redirect": {"registry": {"redirect": True}},
    "read-only": {"registry": {"readOnly": True}},
    "rotation-first": {"rotation": 2},
    "rotation": {"rotation": 3, "users": {"ci": {"push": ["team-a/*"]}}},
    "ingress-without-tcp-route": {"ingress": {"tcpRoute": False}},
    "ingress-gateway": {
        "ingress": {
            "controller": "gateway",
            "gateway": "gateways/public/https",
            "controllerNamespace": "gateways",
        },
        "tls": {"mode": "none"},
    },
    "ingress-host-network": {"ingress": {"hostNetwork": True}},
    "replicas": {"registry": {"replicas": 2}},
    "webhooks": {
        "webhooks": {
            "ci": {
                "url": "http://ci.tools.svc:8080/hook",
                "headers": {"Authorization": "Bearer secret-of-ci"},
            },
            "chat": {"url": "https://chat.example.com/?x=1", "actions": ["push"]},
        }
    },
    "maintenance-off": {"maintenance": {"enabled": False}},
    "maintenance-looks": {
        "maintenance": {"schedule": "0 3 * * *", "collect": False, "keepDays": 30}
    },
    "retention": {
        "retention": {
            "dryRun": False,
            "untaggedDays": 14,
            "rules": {
                "team": {
                    "repositories": ["team/*"],
                    "last": 10,
                    "days": 30,
                    "matching": ["^v[0-9]"],
                },
                "base": {"repositories": ["base"], "last": 3},
                "rest": {"repositories": ["*"], "days": 90},
            },
        },
    },
    "cache": {
        "cache": {
            "docker": {
                "upstream": "docker.io",
                "username": "me",
                "password": "secret-of-cache",
                "keepDays": 7,
                "maxGib": 10,
            },
            "mine": {"upstream": "http://mirror.tools.svc:5000"},
        },
        "nodes": {"share": True},
    },
    "backup": {
        "backup": {
            "endpoint": "http://minio.minio.svc:9000",
            "bucket": "copies",
            "accessKey": "of-copies",
            "secretKey": "secret-of-copies",
            "rootDirectory": "registry",
            "schedule": "30 1 * * mon",
        }
    },
    "page": {
        "page": {"enabled": True},
        "users": {"ci": {"push": ["team-a/*"], "pull": ["base"]}, "audit": {"pull": ["*"]}},
    },
    "scan": {"scan": {"enabled": True}},
    "scan-without-the-internet": {
        "scan": {"enabled": True, "database": "registry.example.com/mirror/trivy-db:2"},
        "monitoring": {"enabled": True, "namespace": "prometheus"},
        "page": {"enabled": True},
        "users": {"ci": {"pull": ["base"]}},
    },
    "monitoring": {"monitoring": {"enabled": True, "namespace": "prometheus"}},
    "nodes": {
        "nodes": {
            "configure": True,
            "mirrorPrefix": "example.com",
            "overrideDockerIo": True,
            "caFile": "/ca.pem",
        }
    },
    "nodes-login-only": {"nodes": {"configure": True}},
    "pull-secrets": {"pullSecrets": {"namespaces": ["team-a", "team-b"]}},
    "pull-secrets-default-account": {
        "pullSecrets": {"namespaces": ["team-a"], "defaultServiceAccount": True}
    },
    "cluster": {
        "kubernetes:kubeconfig": "token: secret-of-cluster\n",
        "kubernetes:context": "prod",
    },
    "every-name": {
        "namespace": "images",
        "adminUser": "alice",
        "pullUser": "bob",
        "storage": {"region": "fra1", "namePrefix": "acme-team"},
        "registry": {
            "image": "mirror.example.com/registry:3.1.3",
            "parallelUploads": 4,
            "resources": {"cpu": "1", "memory": "100Mi"},
        },
        "ingress": {"className": "internal", "controllerNamespace": "traefik"},
        "tls": {"secretName": "wildcard"},
        "scripts": {"image": "mirror.example.com/python:3.13"},
    },
}
"""The name of each mode to the settings that it adds."""
