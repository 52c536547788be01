"""From web navigation to contacts: sessions, page models, stuck flags, interventions. Pure, like all of `streams`."""
