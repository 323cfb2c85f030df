"""Reads a page for a test: its elements, its text, and the fields that a browser would send."""

from html.parser import HTMLParser


class Page(HTMLParser):
    """`elements` are (tag, attributes) in order; `text` is all the text shown, in one line."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str]]] = []
        self._words: list[str] = []
        self.feed(html)
        self.close()
        self.text = " ".join(" ".join(self._words).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        self._words.append(data)

    def all(self, tag: str, **wanted: str) -> list[dict[str, str]]:
        """Return the attributes of every such element; an underscore in a wanted name stands for a hyphen."""
        asked = {name.replace("_", "-"): value for name, value in wanted.items()}
        return [found for name, found in self.elements if name == tag and asked.items() <= found.items()]

    def one(self, tag: str, **wanted: str) -> dict[str, str]:
        found = self.all(tag, **wanted)
        assert len(found) == 1, f"{len(found)} {tag} {wanted}"
        return found[0]

    def fields(self) -> dict[str, str]:
        """Return the name and value of every field of the page's forms."""
        inputs = [found for found in self.all("input") if "name" in found]
        return {
            found["name"]: found.get("value", "")
            for found in inputs
            if found.get("type") != "radio" or "checked" in found
        }
