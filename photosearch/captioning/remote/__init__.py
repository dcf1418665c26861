"""Captioning by servers that the user entered."""
