"""The only bridge to the engine's processes: child workers, and runs by their files."""

from tui.feed.ballots import Ballot, Ballots
from tui.feed.child import Child, Dialogue, Message
from tui.feed.edges import Edges
from tui.feed.rows import RowsFeed
from tui.feed.runs import RESUMABLE, Beside, RunFeed, RunLine, RunsFeed, Snapshot

__all__ = [
    "RESUMABLE",
    "Ballot",
    "Ballots",
    "Beside",
    "Child",
    "Dialogue",
    "Edges",
    "Message",
    "RowsFeed",
    "RunFeed",
    "RunLine",
    "RunsFeed",
    "Snapshot",
]
