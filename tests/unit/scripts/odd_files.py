"""Files that operators have as a node's registries.yaml: everyday ones, odd ones, broken ones."""

from __future__ import annotations

from typing import Any

ENTRIES: dict[str, Any] = {
    "mirrors": {"example.com": {"endpoint": ["https://registry.example.com"]}},
    "configs": {
        "registry.example.com": {
            "auth": {"username": "pull", "password": "0123"},
            "tls": {"ca_file": "/etc/ssl/ca.pem"},
        }
    },
}
"""What the file must hold; the password is one that YAML takes for a number."""

EVERYDAY = """\
# ours since 2023
mirrors:
  # the office
  "*":
  quay.io: &quay
    endpoint: [https://quay-mirror.example.net]
    rewrite: {"^a/(.*)$": "b/$1"}

  ghcr.io:
    endpoint:
      - https://registry.example.com
      - https://elsewhere.example.net
  gcr.io: *quay
configs:
  quay-mirror.example.net:
    auth: {username: yes, password: 0123}   # octal?
"""

EDITED = {
    "nothing": b"",
    "a comment": b"# nothing yet",
    "comments": b"# nothing\n\n  # yet\n",
    "a document without content": b"---\n",
    "a document that ends": b"---\n...\n",
    "everyday": EVERYDAY.encode(),
    "everyday, Windows": EVERYDAY.replace("\n", "\r\n").encode(),
    "everyday, old Macintosh": EVERYDAY.replace("\n", "\r").encode(),
    "everyday, both": EVERYDAY.replace("\n", "\r\n", 3).encode(),
    "everyday, indented": "".join(f"   {x}" for x in EVERYDAY.splitlines(keepends=True)).encode(),
    "everyday, no last line break": EVERYDAY.rstrip("\n").encode(),
    "everyday, blank lines at the end": f"{EVERYDAY}\n   \n\n".encode(),
    "a byte order mark": f"\ufeff{EVERYDAY}".encode(),
    "a document that starts": f"--- # one\n{EVERYDAY}".encode(),
    "a document that starts and ends": f"# top\n---\n{EVERYDAY}...\n# bottom".encode(),
    "a directive": f"%YAML 1.1\n---\n{EVERYDAY}".encode(),
    "a tag": f"--- !!map\n{EVERYDAY}".encode(),
    "another language": "# für uns\nmirrors:\n  ü.example.net: {}\n".encode(),
    "other line breaks": "mirrors:\x85  a: {}\u2028  b: {}\u2029".encode(),
    "a mapping without content": b"mirrors:\nconfigs:\n",
    "a comment behind a key": b"mirrors: # none\n# and none\nconfigs:   # none\n",
    "one without content, in the middle": b"configs:\n  registry.example.com:\n  a:\n    tls: {}\n",
    "quoted keys": b"\"mirrors\":\n  'a': {}\n",
    "an anchor that nothing uses": b"mirrors: &a !!map # b\n  a: {}\n",
    "an anchor beside": b"x: &a {b: c}\nmirrors:\n  a: *a\n",
    "a key twice, elsewhere": b"mirrors:\n  a: {}\n  a: {}\nx: 1\nx: 2\n",
    "a text like a comment": b"configs:\n  a:\n    auth:\n      password: |+\n       #\n\n",
    "a client certificate": (
        b"configs:\n    registry.example.com:\n        tls:\n"
        b"            cert_file: /etc/ssl/node.pem\n            key_file: /etc/ssl/node.key\n"
    ),
    "the same mirror": b"mirrors:\n  example.com:\n    endpoint: [https://registry.example.com]\n",
    "the same login, as a number": (
        b"configs:\n  registry.example.com:\n    auth: {password: 0123, username: 'pull'}\n"
    ),
    "a rewrite for our prefix": b"mirrors:\n  example.com:\n    rewrite: {a: b}\n",
}
"""Files that get our lines."""

REFUSED = {
    "no mapping": (b"- a\n", "the file is not a mapping"),
    "a text": (b"hello\n", "the file is not a mapping"),
    "a list": (b"mirrors:\n- a\n", "mirrors is not a mapping"),
    "a null": (b"mirrors: ~\n", "mirrors is not a mapping"),
    "an empty text": (b"configs: ''\n", "configs is not a mapping"),
    "an anchor without content": (b"configs: &a\nx: *a\n", "configs is not a mapping"),
    "flow style": (
        b"{mirrors: {a: {}}, configs: {b: {}}}\n",
        "mirrors is in flow style, in braces: write it in block style",
    ),
    "k3d's": (
        b"mirrors:\n  r.example:\n    endpoint: [http://r.example]\nconfigs: {}\nauths: {}\n",
        "configs is in flow style, in braces: delete the braces",
    ),
    "JSON": (b'{\n"mirrors": {}\n}\n', "mirrors is in flow style"),
    "flow style at the top": (b"{}\n", "the file is in flow style, in braces: delete the braces"),
    "flow style below": (
        b"mirrors:\nconfigs:\n  registry.example.com: {tls: {cert_file: a}}\n",
        "configs.registry.example.com.tls is in flow style",
    ),
    "an alias": (b"x: &a\n  b: {}\nmirrors: *a\n", "mirrors is also used by an alias"),
    "an anchor": (b"mirrors: &a\n  b: {}\nx: *a\n", "mirrors is also used by an alias"),
    "a merge key": (b"x: &a\n  b: {}\nmirrors:\n  <<: *a\n", "mirrors has a merge key"),
    "a section twice": (b"mirrors:\nx: 1\nmirrors:\n", "mirrors is there twice"),
    "our host twice": (
        b"configs:\n  registry.example.com: {}\n  'registry.example.com': {}\n",
        "configs.registry.example.com is there twice",
    ),
    "two documents": (b"mirrors:\n---\nmirrors:\n", "one YAML document: see line 2"),
    "a tab": (b"mirrors:\n\ta: {}\n", "one YAML document: see line 2"),
    "a tab behind a key": (b"mirrors:\n  a:\t{}\n", "one YAML document: see line 2"),
    "an open bracket": (b"configs: [s3cr3t\nb: c\n", "one YAML document: see line 2"),
    "an unknown alias": (b"configs:\n  a: *s3cr3t\n", "one YAML document: see line 2"),
    "a control character": (b"mirrors:\0", "one YAML document"),
    "depths": (b"[" * 1500, "one YAML document"),
    "Latin-1": ("# für uns\n".encode("latin-1"), "it is not UTF-8"),
    "UTF-16": (EVERYDAY.encode("utf-16"), "it is not UTF-8"),
    "UTF-16 without a mark": (EVERYDAY.encode("utf-16-le"), "one YAML document"),
    "much": (b"#" * 100_001, "it is longer than 100000 characters"),
    "no line break where one is needed": (b"mirrors:\nconfigs:", "has no line break"),
    "another password": (
        b"configs:\n  registry.example.com:\n    auth: {password: s3cr3t}\n",
        "configs.registry.example.com.auth.password has another value",
    ),
    "an air gap": (
        b"mirrors:\n  example.com:\n    endpoint: [https://registry.example.com, https://b]\n",
        "mirrors.example.com.endpoint has another value",
    ),
    "another host": (
        b"mirrors:\n  example.com:\n    endpoint: [https://b.example.net]\n",
        "mirrors.example.com.endpoint has another value",
    ),
    "a mapping for a value": (
        b"configs:\n  registry.example.com:\n    auth:\n      password: {a: b}\n",
        "configs.registry.example.com.auth.password has another value",
    ),
    "an anchor on a line of its own": (b"configs:\n  &a\n  x: {}\n", "lines cannot be added to"),
    "a tag on a line of its own": (b"!!map\nmirrors:\n  a: {}\n", "lines cannot be added to"),
    "a key with a question mark": (b"? configs\n: x: {}\n", "lines cannot be added to"),
}
"""Files that are refused, and why."""
