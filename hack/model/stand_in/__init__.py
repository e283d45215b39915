"""A model that reads instead of knowing: every answer is derived from the request alone."""
