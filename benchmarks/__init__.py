"""This template beside the approach it carries on: the whole session pickled at each run."""
