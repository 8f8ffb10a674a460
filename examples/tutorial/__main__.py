"""Autograd in ten chapters, every claim asserted.

    python examples/tutorial                     # with PyTorch
    python examples/tutorial reference_engine    # with the reference engine, unchanged

A chapter is a script of its own as well.
"""

import runpy
from pathlib import Path

for chapter in sorted(Path(__file__).parent.glob("chapter_*.py")):
    print(runpy.run_path(str(chapter))["__doc__"])
