"""What must simulated data hold for a test to have something to look at, whatever moment it is simulated for?"""

from datetime import UTC, datetime

from schemas.events import ContactQueued, Queued
from schemas.topics import CALLS
from streams.site import Site


def still_waiting(site: Site, at_ms: int) -> tuple[str, str, ContactQueued]:
    """A call that queued at `at_ms` in the site's first queue for calls, and waits: (topic, key, event)."""
    queue = next(name for name, policy in site.queues.items() if policy.channel == "voice")
    return (
        CALLS,
        "still-waiting",
        ContactQueued(
            id="still-waiting-1",
            source="test",
            time=datetime.fromtimestamp(at_ms / 1000, UTC),
            data=Queued(contact_id="still-waiting", queue=queue, channel="voice"),
        ),
    )
