module k3s-registry/sandbox/build/tools/traefik

go 1.26

require github.com/traefik/traefik/v3 v3.7.13
