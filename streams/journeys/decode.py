"""Is this record of the topic `web` an event we can use? As `streams.decode`, for events of the web.

Never raises. An event that belongs to another topic is named as such; what no topic knows is counted and skipped.
"""

import msgspec

from schemas.events import EVENT_TYPES
from schemas.web_events import WEB_TYPES, WebEvent
from streams.decode import decoder

decode_web = decoder(msgspec.json.Decoder(WebEvent).decode, WEB_TYPES, elsewhere=EVENT_TYPES)
"""Decode one record's value: an event of the web, or why it is none."""
