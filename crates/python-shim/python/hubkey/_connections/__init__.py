"""What a sign-in gives: a connection, and what is known of it."""
