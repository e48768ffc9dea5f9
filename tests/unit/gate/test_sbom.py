"""The bill of materials of the sandbox's tools."""

from __future__ import annotations

from tests.gate.sbom import bill

YAML = {"Path": "gopkg.in/yaml.v3", "Version": "v3.0.1", "Sum": "h1:a"}
FORK = {"Path": "github.com/Fork/yaml", "Version": "v3.1.0+incompatible", "Sum": "h1:b"}
OWN = {"Path": "k3s-registry/tool", "Version": "(devel)"}


def test_every_module_is_listed_once_as_it_was_built_in() -> None:
    first = {"GoVersion": "go1.26.8", "Main": OWN, "Deps": [YAML]}
    second = {"GoVersion": "go1.26.8", "Main": YAML}
    replaced = {"GoVersion": "go1.26.8", "Main": OWN, "Deps": [YAML | {"Replace": FORK}]}
    made = bill({"one": first, "two": second, "three": replaced})
    assert [x["bom-ref"] for x in made["components"]] == [
        "one",
        "pkg:golang/github.com/fork/yaml@v3.1.0%2Bincompatible",
        "pkg:golang/gopkg.in/yaml.v3@v3.0.1",
        "pkg:golang/stdlib@1.26.8",
        "three",
        "two",
    ], "the sandbox's own modules have no place to be had from"
    (one, three, _) = made["dependencies"]
    assert one["dependsOn"] == ["pkg:golang/gopkg.in/yaml.v3@v3.0.1", "pkg:golang/stdlib@1.26.8"]
    assert "pkg:golang/gopkg.in/yaml.v3@v3.0.1" not in three["dependsOn"]
