module k3s-registry/sandbox/build/tools/sbom-generator

go 1.26.7
