//! What each peer should know, what it knows, and the UPDATEs between the two.
