"""What turns pictures into words, behind one protocol."""
