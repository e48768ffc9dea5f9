"""A sandbox of real parts in which the program runs end to end; a tool, not the product."""
