"""How a case is run: read, build, loop, watch, report."""
