"""Models that ship with the project, one folder each, found by path."""
