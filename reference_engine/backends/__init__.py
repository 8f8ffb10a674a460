"""Array libraries that the engine computes with."""
