"""Servers of language models side by side, on the same prompts."""
