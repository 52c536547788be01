"""What does a panel say of its number? The definition's words, or the metric's help: written once, elsewhere."""

from schemas.definitions import DEFINITIONS
from schemas.metrics import METRICS, PREFIX


def says(*names: str, more: str = "") -> str:
    """Definitions in a row, each with its label; `more` is said after them."""
    told = [f"{_begun(each.label_en)}: {each.text}." for each in (DEFINITIONS[name] for name in names)]
    return " ".join([*told, more]).strip()


def _begun(label: str) -> str:
    """As a sentence begins; symbols such as n stay as they are."""
    return label[0].upper() + label[1:] if len(label) > 1 else label


def helps(*bases: str, more: str = "") -> str:
    """The help of metrics, by their names without the prefix; `more` is said after them."""
    return " ".join([*(METRICS[PREFIX + base].help for base in bases), more]).strip()
