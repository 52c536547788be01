"""What must the numbers be? Computed from what the simulator decided, apart from the pipeline's code.

Imports nothing of `streams` but the site's promises and the simulator's record: a mistake in the pipeline
cannot hide in both.
"""

from streams.truth.judged import Judged
from streams.truth.lengths import Lengths
from streams.truth.measures import AgentTimes, M
from streams.truth.report import Report, Truth

__all__ = ["AgentTimes", "Judged", "Lengths", "M", "Report", "Truth"]
