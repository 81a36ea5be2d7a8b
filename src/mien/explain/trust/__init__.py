"""Whether to believe an attribution method on a network: tests that a drawing could not pass.

Takes any ``nn.Module`` and arrays; networks fitted to shuffled labels, and faces whose label one
region carries, come in as arguments.
"""
