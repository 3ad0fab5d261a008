"""Files in, articles and chunks out."""

CORPUS_VERSION = 1  # bump when repair, structure or splitting change the result for the same bytes
