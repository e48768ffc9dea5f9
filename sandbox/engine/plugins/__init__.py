"""Stand-ins for the Pulumi plugins that the sandbox cannot build; each start imports this."""
