"""A real OpenID Connect provider, and one that lies, for the tests of signing in."""
