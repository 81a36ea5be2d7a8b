"""One file a group of sections: from what was gathered to what a template fills in."""
