"""What is on disk: the scanner decides, the watcher gives hints."""
