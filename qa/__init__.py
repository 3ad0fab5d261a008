"""A question in, an answer with citations or a refusal out."""
