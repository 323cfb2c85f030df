"""Reads the /metrics of a service as numbers."""

from collections.abc import Iterator

import httpx2
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families


class Scrape:
    """The metrics of one service at one moment."""

    def __init__(self, url: str) -> None:
        response = httpx2.get(f"{url}/metrics", timeout=10)
        assert response.status_code == 200, response.text
        self.text = response.text
        self.families: list[Metric] = list(text_string_to_metric_families(response.text))

    def __call__(self, name: str, **labels: str) -> float:
        """Return the sum of all samples of this name with these labels; 0 if there are none."""
        return sum(value for found, value in self._samples(name) if labels.items() <= found.items())

    def labels(self, name: str) -> set[str]:
        return {label for found, _ in self._samples(name) for label in found}

    def values(self, label: str) -> set[str]:
        """Return all values of this label, on any metric."""
        found = [sample.labels for family in self.families for sample in family.samples]
        return {each[label] for each in found if label in each}

    def _samples(self, name: str) -> Iterator[tuple[dict[str, str], float]]:
        for family in self.families:
            for sample in family.samples:
                if sample.name == name:
                    yield sample.labels, sample.value
