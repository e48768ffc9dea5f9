"""The environment in which the Pulumi engine runs, with the plugins that it finds there."""
