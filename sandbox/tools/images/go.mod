module k3s-registry/sandbox/tools/images

go 1.26
