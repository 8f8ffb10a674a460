"""Pictures that ``reference_engine.viz`` has drawn, read back."""

from __future__ import annotations

import re
from xml.etree import ElementTree

from reference_engine.viz import COLOURS

_SVG = "{http://www.w3.org/2000/svg}"
_NAMES = {light: name for name, (light, _) in COLOURS.items()}


class Picture:
    """Boxes with their lines of text and the numbers of their inputs, and edges between them."""

    def __init__(self, text: str) -> None:
        self.root = ElementTree.fromstring(text)
        groups = [group for group in self.root.iter(_SVG + "g") if group.get("class") == "node"]
        lines = [["".join(line.itertext()) for line in g.iter(_SVG + "text")] for g in groups]
        self.boxes = [[line for line in box if not line.isdigit()] for box in lines]
        self.inputs = [[int(line) for line in box if line.isdigit()] for box in lines]
        self.titles = [lines[0] for lines in self.boxes]

    def box(self, title: str) -> list[str]:
        (found,) = [lines for lines in self.boxes if lines[0] == title]
        return found

    def colours(self, text: str) -> list[str]:
        return [_NAMES[t.get("fill", "")] for t in self.root.iter(_SVG + "text") if t.text == text]

    def places(self, text: str) -> list[float]:
        """From the left, where lines of a text begin."""
        return [float(t.get("x", "")) for t in self.root.iter(_SVG + "text") if t.text == text]

    def edges(self) -> list[tuple[str, str]]:
        """The titles of the boxes at both ends of each edge."""
        return sorted(ends for ends, _ in self.curves())

    def curves(self) -> list[tuple[tuple[str, str], tuple[float, float]]]:
        """The edges as drawn: titles at both ends, and from the left, where these are."""
        found = []
        for group in self.root.iter(_SVG + "g"):
            if group.get("class") == "edge":
                ends = re.findall(r"(?:^|->)(\d+)", group.findtext(_SVG + "title", ""))
                source, target = (self.titles[int(n)] for n in ends)
                (path,) = group.iter(_SVG + "path")
                points = re.findall(r"(-?[\d.]+),-?[\d.]+", path.get("d", ""))
                found.append(((source, target), (float(points[0]), float(points[-1]))))
        return found
