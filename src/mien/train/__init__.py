"""The training loop and what it is made of; meets prediction only through saved models."""
