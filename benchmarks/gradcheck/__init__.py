"""Figures of the gradient checker, beside those of its peers."""
