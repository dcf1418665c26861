"""Disposable child processes for whatever can crash, leak or hang."""
