"""Answers to people: the chat page and its server."""
