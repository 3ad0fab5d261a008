"""Answers to people: the chat page, the article view and the server behind them.

Gradio reads these switches when it is imported, so they are set where no module of this package
can be imported without them: no telemetry, and no look-up at a model hub.
"""

import os

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
