"""Each language has each sentence, with the same facts; a person reads the one that they wish."""
