"""Defects of released engines that this suite found, each with a reproduction of its own.

A reproduction is a script in the engine's own spelling. It needs the engine alone, and exits with
code 1, by an `AssertionError` or the engine's own error, as long as the defect is there.
"""

from conformance.defects.defect import Defect, defects

__all__ = ["Defect", "defects"]
