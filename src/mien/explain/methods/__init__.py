"""One file an attribution method; ``mien.explain.attribution`` has them by name."""
