"""Find any photo in your own folders by typing words."""
