"""What the sandbox has in place of the outside world: DigitalOcean and docker.io."""
