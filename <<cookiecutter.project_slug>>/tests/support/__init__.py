"""What the tests share; each module has one subject."""
