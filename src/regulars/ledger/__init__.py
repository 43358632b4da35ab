"""The consumer's account: every use of what is known of her, every contact and every value returned."""

from regulars.ledger.counts import Counts
from regulars.ledger.entries import Entries, Entry, verify
from regulars.ledger.protocol import Kind, Ledger

__all__ = ["Counts", "Entries", "Entry", "Kind", "Ledger", "verify"]
