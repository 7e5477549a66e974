"""The report's table of metrics: every metric in both networks' features, and classes that are too small."""

from __future__ import annotations

from ops.metrics.set_quality import METRICS
from ops.report.measures import MEANINGS, describe_measures
from tests.filtering import CLASSES, list_measures


def test_every_metric_has_a_cell_for_each_network_overall_and_per_class() -> None:
    found = describe_measures(list_measures(2), CLASSES)
    assert set(MEANINGS) == set(METRICS)
    assert found["extractors"] == ["scorer", "random"]
    assert [part["name"] for part in found["classes"]] == list(CLASSES)
    for part in (found["whole"], *found["classes"]):
        assert len(part["rows"]) == len(METRICS)
        for row in part["rows"]:
            assert [cell["extractor"] for cell in row["cells"]] == ["scorer", "random"]
            assert len({cell["metric"] for cell in row["cells"]}) == 1
    assert found["whole"]["rows"][0]["cells"][0]["label"] is None
    assert [cell["label"] for cell in found["classes"][1]["rows"][0]["cells"]] == [1, 1]
    assert found["classes"][1]["rows"][0]["cells"][0]["value"] is None
