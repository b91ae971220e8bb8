"""Access tokens that stay fresh, whatever they are of."""
