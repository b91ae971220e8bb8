"""The broker: where it is, and what its failures mean to the person in the notebook."""
