"""The pytest plugin (inert unless `--autograd-engine` is given)."""
