"""Chunks in, nearest chunks out."""
