//! Numbers as IANA assigns them.

/// Message types (RFC 4271 §4.1, RFC 2918).
pub mod message_type {
    /// RFC 4271 §4.2.
    pub const OPEN: u8 = 1;
    /// RFC 4271 §4.3.
    pub const UPDATE: u8 = 2;
    /// RFC 4271 §4.5.
    pub const NOTIFICATION: u8 = 3;
    /// RFC 4271 §4.4.
    pub const KEEPALIVE: u8 = 4;
    /// RFC 2918.
    pub const ROUTE_REFRESH: u8 = 5;
}

/// Capability codes (RFC 5492).
pub mod capability {
    /// RFC 4760 §8.
    pub const MULTIPROTOCOL: u8 = 1;
    /// RFC 2918.
    pub const ROUTE_REFRESH: u8 = 2;
    /// RFC 8950.
    pub const EXTENDED_NEXT_HOP: u8 = 5;
    /// RFC 4724.
    pub const GRACEFUL_RESTART: u8 = 64;
    /// RFC 6793.
    pub const FOUR_OCTET_AS: u8 = 65;
    /// RFC 7313.
    pub const ENHANCED_ROUTE_REFRESH: u8 = 70;
}

/// Subtypes of ROUTE-REFRESH (RFC 7313 §3.2).
pub mod refresh {
    /// "Normal route refresh request".
    pub const REQUEST: u8 = 0;
    /// "Demarcation of the beginning of a route refresh".
    pub const BORR: u8 = 1;
    /// "Demarcation of the ending of a route refresh".
    pub const EORR: u8 = 2;
}

/// Path attribute type codes.
pub mod attribute {
    /// RFC 4271 §5.1.1.
    pub const ORIGIN: u8 = 1;
    /// RFC 4271 §5.1.2.
    pub const AS_PATH: u8 = 2;
    /// RFC 4271 §5.1.3.
    pub const NEXT_HOP: u8 = 3;
    /// RFC 4271 §5.1.4.
    pub const MULTI_EXIT_DISC: u8 = 4;
    /// RFC 4271 §5.1.5.
    pub const LOCAL_PREF: u8 = 5;
    /// RFC 4271 §5.1.6.
    pub const ATOMIC_AGGREGATE: u8 = 6;
    /// RFC 4271 §5.1.7.
    pub const AGGREGATOR: u8 = 7;
    /// RFC 1997.
    pub const COMMUNITIES: u8 = 8;
    /// RFC 4456.
    pub const ORIGINATOR_ID: u8 = 9;
    /// RFC 4456.
    pub const CLUSTER_LIST: u8 = 10;
    /// RFC 4760 §3.
    pub const MP_REACH_NLRI: u8 = 14;
    /// RFC 4760 §4.
    pub const MP_UNREACH_NLRI: u8 = 15;
    /// RFC 4360.
    pub const EXTENDED_COMMUNITIES: u8 = 16;
    /// RFC 6793.
    pub const AS4_PATH: u8 = 17;
    /// RFC 6793.
    pub const AS4_AGGREGATOR: u8 = 18;
    /// RFC 5701.
    pub const IPV6_EXTENDED_COMMUNITIES: u8 = 25;
    /// RFC 8092.
    pub const LARGE_COMMUNITY: u8 = 32;
}

/// Error codes of NOTIFICATION (RFC 4271 §4.5).
pub mod error {
    /// RFC 4271 §6.1.
    pub const MESSAGE_HEADER: u8 = 1;
    /// RFC 4271 §6.2.
    pub const OPEN_MESSAGE: u8 = 2;
    /// RFC 4271 §6.3.
    pub const UPDATE_MESSAGE: u8 = 3;
    /// RFC 4271 §6.5.
    pub const HOLD_TIMER_EXPIRED: u8 = 4;
    /// RFC 4271 §6.6.
    pub const FINITE_STATE_MACHINE: u8 = 5;
    /// RFC 4271 §6.7.
    pub const CEASE: u8 = 6;
    /// RFC 7313 §5.
    pub const ROUTE_REFRESH_MESSAGE: u8 = 7;
    /// RFC 9687.
    pub const SEND_HOLD_TIMER_EXPIRED: u8 = 8;
}

/// Subcodes of the message header error (RFC 4271 §6.1).
pub mod header {
    /// The marker is not all ones.
    pub const CONNECTION_NOT_SYNCHRONIZED: u8 = 1;
    /// Data: the Length field.
    pub const BAD_MESSAGE_LENGTH: u8 = 2;
    /// Data: the Type field.
    pub const BAD_MESSAGE_TYPE: u8 = 3;
}

/// Subcodes of the OPEN message error (RFC 4271 §6.2).
pub mod open {
    /// Malformed.
    pub const UNSPECIFIC: u8 = 0;
    /// Data: the version that we know, in two octets.
    pub const UNSUPPORTED_VERSION_NUMBER: u8 = 1;
    /// Not the configured AS, or AS 0 (RFC 7607).
    pub const BAD_PEER_AS: u8 = 2;
    /// RFC 6286 §2.2.
    pub const BAD_BGP_IDENTIFIER: u8 = 3;
    /// An optional parameter that is not known.
    pub const UNSUPPORTED_OPTIONAL_PARAMETER: u8 = 4;
    /// One or two seconds.
    pub const UNACCEPTABLE_HOLD_TIME: u8 = 6;
    /// RFC 5492 §5. Data: the capabilities that we miss.
    pub const UNSUPPORTED_CAPABILITY: u8 = 7;
    /// RFC 9234.
    pub const ROLE_MISMATCH: u8 = 11;
}

/// Subcodes of the UPDATE message error (RFC 4271 §6.3).
pub mod update {
    /// Lengths that do not fit each other.
    pub const MALFORMED_ATTRIBUTE_LIST: u8 = 1;
    /// Data: the attribute.
    pub const UNRECOGNIZED_WELL_KNOWN_ATTRIBUTE: u8 = 2;
    /// Data: the attribute's type code.
    pub const MISSING_WELL_KNOWN_ATTRIBUTE: u8 = 3;
    /// Data: the attribute.
    pub const ATTRIBUTE_FLAGS: u8 = 4;
    /// Data: the attribute.
    pub const ATTRIBUTE_LENGTH: u8 = 5;
    /// Data: the attribute.
    pub const INVALID_ORIGIN: u8 = 6;
    /// Data: the attribute.
    pub const INVALID_NEXT_HOP: u8 = 8;
    /// Data: the attribute.
    pub const OPTIONAL_ATTRIBUTE: u8 = 9;
    /// A prefix that cannot be.
    pub const INVALID_NETWORK_FIELD: u8 = 10;
    /// AS_PATH.
    pub const MALFORMED_AS_PATH: u8 = 11;
}

/// Subcodes of the finite state machine error (RFC 6608 §4). Data: the type of the message.
pub mod fsm {
    /// In OpenSent.
    pub const UNEXPECTED_IN_OPEN_SENT: u8 = 1;
    /// In OpenConfirm.
    pub const UNEXPECTED_IN_OPEN_CONFIRM: u8 = 2;
    /// In Established.
    pub const UNEXPECTED_IN_ESTABLISHED: u8 = 3;
}

/// Subcodes of Cease (RFC 4486, RFC 8538, RFC 9384).
pub mod cease {
    /// Data: address family and the upper bound.
    pub const MAXIMUM_NUMBER_OF_PREFIXES_REACHED: u8 = 1;
    /// Data: a shutdown communication (RFC 9003).
    pub const ADMINISTRATIVE_SHUTDOWN: u8 = 2;
    /// The peer was removed from the configuration.
    pub const PEER_DE_CONFIGURED: u8 = 3;
    /// Data: a shutdown communication (RFC 9003).
    pub const ADMINISTRATIVE_RESET: u8 = 4;
    /// The peer may not connect now.
    pub const CONNECTION_REJECTED: u8 = 5;
    /// What the session rests on changed.
    pub const OTHER_CONFIGURATION_CHANGE: u8 = 6;
    /// RFC 4271 §6.8.
    pub const CONNECTION_COLLISION_RESOLUTION: u8 = 7;
    /// Memory and the like.
    pub const OUT_OF_RESOURCES: u8 = 8;
    /// RFC 8538 §3. Data: the NOTIFICATION that it stands for.
    pub const HARD_RESET: u8 = 9;
    /// RFC 9384.
    pub const BFD_DOWN: u8 = 10;
}

/// Subcodes of the ROUTE-REFRESH message error (RFC 7313 §5).
pub mod route_refresh {
    /// Data: the message.
    pub const INVALID_MESSAGE_LENGTH: u8 = 1;
}
