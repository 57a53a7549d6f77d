"""What a network is excused from: name -> {test function: reason}.

An exempt check still runs and must fail: one that passes is stale, and fails the suite.
"""

EXEMPTIONS: dict[str, dict[str, str]] = {}
