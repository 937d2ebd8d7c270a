"""The only bridge to the engine's processes: child workers, and runs by their files."""

from tui.feed.child import Child, Dialogue, Message
from tui.feed.edges import Edges
from tui.feed.listing import Listing, Row
from tui.feed.rows import RowsFeed
from tui.feed.runs import RESUMABLE, Beside, RunFeed, RunLine, RunsFeed, Snapshot
from tui.feed.sweeps import SweepFeed, SweepLine, SweepsFeed, SweepShot

__all__ = [
    "RESUMABLE",
    "Beside",
    "Child",
    "Dialogue",
    "Edges",
    "Listing",
    "Message",
    "Row",
    "RowsFeed",
    "RunFeed",
    "RunLine",
    "RunsFeed",
    "Snapshot",
    "SweepFeed",
    "SweepLine",
    "SweepShot",
    "SweepsFeed",
]
