"""What users do with crane, and with all that is built on it: ko, kaniko, cosign."""

from __future__ import annotations

from tests.soak.commands import Command

A, B, KEPT = "{host}/team-a/app", "{host}/team-a/copy", "{host}/team-a/kept"

CRANE = (
    Command("", "crane auth login {host} --username=admin --password=admin"),
    Command("nobody", "crane ls {host}/team-a/app", fails=True),
    Command("", f"crane manifest {A}:1", fails=True),
    Command("admin", f"crane append --new_layer={{shared}}/layer.tar.gz --new_tag={A}:1"),
    # Again: nothing is sent but the manifest.
    Command("admin", f"crane append --new_layer={{shared}}/layer.tar.gz --new_tag={A}:1"),
    Command(
        "admin", "crane append --new_layer={shared}/layer.tar.gz --new_tag={host}/hidden/other:1"
    ),
    Command(
        "admin", "crane append --new_layer={shared}/layer.tar.gz --new_tag={host}/shared/base:1"
    ),
    Command(
        "ci", f"crane append --base={A}:1 --new_layer={{shared}}/second.tar.gz --new_tag={A}:2"
    ),
    Command("ci", f"crane mutate {A}:2 --label=a=b --tag={A}:labeled"),
    Command("ci", f"crane index append --manifest={A}:1 --manifest={A}:2 --tag={A}:index"),
    Command("ci", f"crane index filter {A}:index --platform=linux/amd64 --tag={A}:filtered"),
    Command("ci", f"crane pull --format=oci {A}:index {{folder}}/layout"),
    Command("ci", f"crane push --index {{folder}}/layout {B}:pushed"),
    Command("ci", f"crane copy --jobs=1 {A}:index {B}:1"),
    Command("ci", f"crane copy --jobs=1 --all-tags {A} {B}"),
    Command("ci", f"crane copy --jobs=1 {{host}}/shared/base:1 {B}:base"),
    Command("ci", f"crane tag {A}:1 latest"),
    Command("pull", f"crane pull {A}:2 {{folder}}/image.tar"),
    Command("pull", f"crane validate --remote={A}:index"),
    Command("pull", f"crane export {A}:2 {{folder}}/files.tar"),
    *(Command("pull", f"crane {x} {A}:index") for x in ("digest", "manifest")),
    Command("pull", f"crane config {A}:2"),
    Command("pull", f"crane ls --full-ref {A}"),
    Command("pull", f"crane ls --omit-digest-tags {B}"),
    Command("pull", "crane catalog {host}"),
    Command("pull", f"crane manifest {A}:missing", fails=True),
    Command("pull", "crane ls {host}/team-a/missing"),
    Command("ci", f"crane delete {A}:labeled"),
    Command("ci", f"crane delete {A}:missing", fails=True),
    Command("ci", f"crane manifest {A}:labeled", fails=True),
    Command("ci", f"crane flatten {A}:2 --tag={A}:flat", timed=True),
    Command("ci", f"crane rebase {A}:2 --old_base={A}:1 --new_base={A}:1 --tag={A}:3", timed=True),
    *(Command("ci", f"crane copy --jobs=1 {A}:1 {KEPT}:1") for _ in range(2)),
    Command("ci", f"crane copy --jobs=1 {A}:2 {KEPT}:1", kept=True),
    Command("ci", f"crane delete {KEPT}:1", kept=True),
    # What only the rights of users forbid.
    Command("ci", "crane catalog {host}", refused=True),
    Command("ci", "crane pull {host}/hidden/other:1 {folder}/other.tar", refused=True),
    Command("ci", f"crane copy --jobs=1 {{host}}/hidden/other:1 {B}:stolen", refused=True),
    Command("ci", f"crane copy --jobs=1 {A}:2 {{host}}/hidden/other:2", refused=True),
    Command("ci", "crane tag {host}/shared/base:1 2", refused=True),
    Command("ci", "crane delete {host}/shared/base:1", refused=True),
    *(Command("pull", f"crane {x}", refused=True) for x in (f"tag {A}:1 3", f"delete {A}:1")),
    Command("pull", f"crane copy --jobs=1 {A}:2 {A}:3", refused=True),
    Command(
        "pull", f"crane append --new_layer={{shared}}/layer.tar.gz --new_tag={A}:3", refused=True
    ),
    Command("pull", f"crane push {{folder}}/image.tar {B}:pull", refused=True),
)
