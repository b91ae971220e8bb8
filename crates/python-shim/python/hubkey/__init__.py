"""Access tokens for notebooks: sign in once, by a link in the cell."""
