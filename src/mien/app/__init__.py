"""The command line and the figures: parses, shows and formats; computes nothing."""
