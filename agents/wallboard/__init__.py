"""The board in a browser: a process of its own that knows only the store of snapshots."""
