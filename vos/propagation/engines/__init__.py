"""How fast: the propagation step for each device, one contract, tested against the reference."""
