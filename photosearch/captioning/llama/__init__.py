"""Captions by a vision language model through llama.cpp and its libmtmd; their only door.

It goes through their own functions, not through llama-cpp-python's chat handlers: their LLaVA
prompt loses its newlines, they take pictures as data URIs only, and one at a time.
"""
