//! Neighbor Discovery (RFC 4861): solicitations and advertisements.
