"""Other ways to find passages, measured beside ours. Never imported by the product."""
