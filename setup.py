"""Which modules does mypyc compile? Those where a worker spends its time; only with QUEUELIGHT_COMPILE=1, else none.

The same sources run without: `make compile` builds them in place, `make pure` takes that back. A compiled wheel needs
what is installed here: `QUEUELIGHT_COMPILE=1 pip wheel --no-deps --no-build-isolation .`
"""

import os

from setuptools import Extension, setup

HOT = (
    "callbacks",
    "contact",
    "contact_customers",
    "contact_fold",
    "contact_list",
    "contact_panes",
    "contributions",
    "journeys/counted_days",
    "journeys/day_number",
    "journeys/derived",
    "journeys/facts",
    "journeys/flags",
    "journeys/judges",
    "journeys/page_names",
    "journeys/session",
    "journeys/signals",
    "journeys/tallies",
    "journeys/visitor_fold",
    "kpi",
    "lengths",
    "longest",
    "merged_row",
    "presence",
    "presence_fold",
    "queue_fold",
    "routing",
    "rows",
    "shard",
    "telling",
)
"""Modules of streams/ without structs of msgspec: those it makes itself, and mypyc cannot compile them."""


def compiled() -> list[Extension]:
    """The extension modules to build."""
    if os.environ.get("QUEUELIGHT_COMPILE") != "1":
        return []
    from mypyc.build import mypycify

    sources = [f"streams/{name}.py" for name in HOT]
    # What they share becomes a module, too. It lies among them: an editable installation finds only packages.
    return mypycify(
        ["--config-file", "pyproject.toml", *sources],
        opt_level="3",
        debug_level="0",
        group_name="streams.compiled",
    )


setup(ext_modules=compiled())
