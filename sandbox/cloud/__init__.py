"""Stand-ins for the outside world: DigitalOcean, docker.io and Let's Encrypt."""
