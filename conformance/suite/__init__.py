"""What `pytest --pyargs conformance.suite` collects: one item per clause and engine."""
