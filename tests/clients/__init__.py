"""Real clients, which the machine must have, against a plain registry and against the program."""
