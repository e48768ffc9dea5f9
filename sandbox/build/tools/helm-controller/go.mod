module k3s-registry/sandbox/build/tools/helm-controller

go 1.26

require github.com/k3s-io/helm-controller v0.17.9
