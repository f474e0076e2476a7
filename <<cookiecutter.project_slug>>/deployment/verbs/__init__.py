"""The verbs of the command line, one a module, or two where they share what they know."""
