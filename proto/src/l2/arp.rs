//! ARP (RFC 826) and what RFC 5227 reads out of it.
