"""One file a verb: composes the rooms below, prints nothing, tells progress through a callback."""
