"""The demo language model: its dialogues, its training, its score."""
