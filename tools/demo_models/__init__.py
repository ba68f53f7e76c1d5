"""Drawings, captions, checker and training of the demo picture models."""
