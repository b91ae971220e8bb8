"""The front end: where this Python runs, what it shows, and how it waits. The only package that knows IPython."""
