module k3s-registry/sandbox/build/tools/images

go 1.26
