//! Whether this node may stand for election: health, link, rivals and shutdown in one place.
