"""How does a class tell mypyc what it must know? By a decorator that means nothing in plain Python.

Refuses to know which modules are compiled (`setup.py`), and mypyc itself, which is there only for development.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_extensions import mypyc_attr as mypyc_attr
else:

    def mypyc_attr(**_: object):
        """Return the class as it is."""
        return lambda cls: cls
