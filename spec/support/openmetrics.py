#!/usr/bin/python3
"""Reads an OpenMetrics page from stdin with the parser of Prometheus' own client library, which is
strict; prints its families and exemplars as JSON, or fails with what is wrong."""
import json
import sys

from prometheus_client.openmetrics.parser import text_string_to_metric_families

families, exemplars = {}, []
for family in text_string_to_metric_families(sys.stdin.read()):
    families[family.name] = family.type
    for sample in family.samples:
        if sample.exemplar:
            exemplars.append({
                "name": sample.name, "labels": sample.labels, "of": sample.exemplar.labels,
                "value": sample.exemplar.value,
            })
print(json.dumps({"families": families, "exemplars": exemplars}))
