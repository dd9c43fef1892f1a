//! Our table as requests to the kernel: one chain at the hook, one for each family, a handful of rules, four sets.
//!
//! ```text
//! chain prerouting { type filter hook prerouting priority raw
//!     ip daddr @guarded4_a goto guard4                                          and for ip6
//! }
//! chain guard4 {
//!     meta iiftype loopback accept                                              this node may
//!     ip daddr . meta l4proto . th dport . ip saddr @permitted4_a accept
//!     ip frag-off & 0x1fff != 0 accept                                          nothing without its first fragment
//!     counter drop
//! }
//! ```

use vipcast_proto::guard::{Change, Interval, Rules, SetsChange};

use crate::nf_tables::{
    Attributes, Batch, DATA_VALUE, ELEM_KEY, ELEMENTS, LIST_ELEM, NAME_OF_TABLE, SET_NAME,
};

/// The sets of a table exist in one of two slots. Building the table anew fills the other one, so that the rules of
/// before have their sets to the last packet.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Slot {
    A,
    B,
}

/// What differs between the families.
pub(super) struct Family {
    protocol: u8,
    source_at: u32,
    destination_at: u32,
    address_len: u32,
    address_type: u32,
    chain: &'static str,
    digit: char,
}

impl Slot {
    const fn letter(self) -> char {
        match self {
            Self::A => 'a',
            Self::B => 'b',
        }
    }
}

impl Family {
    pub(super) fn guarded(&self, slot: Slot) -> String {
        format!("guarded{}_{}", self.digit, slot.letter())
    }

    pub(super) fn permitted(&self, slot: Slot) -> String {
        format!("permitted{}_{}", self.digit, slot.letter())
    }
}

/// Puts the table in place of what is there of it. `stale` are the names of its sets so far, none of which is in `slot`.
pub(super) fn build(batch: &mut Batch, slot: Slot, stale: &[String], rules: &Rules) {
    batch.request(libc::NFT_MSG_NEWTABLE, libc::NLM_F_CREATE, |a| {
        a.name(NAME_OF_TABLE, TABLE);
        // Somebody may have made it dormant.
        a.number(TABLE_FLAGS, 0);
    });
    batch.request(libc::NFT_MSG_NEWCHAIN, libc::NLM_F_CREATE, base_chain);
    for family in [&V4, &V6] {
        batch.request(libc::NFT_MSG_NEWCHAIN, libc::NLM_F_CREATE, |a| {
            a.name(NAME_OF_TABLE, TABLE);
            a.name(CHAIN_NAME, family.chain);
        });
    }
    batch.request(libc::NFT_MSG_DELRULE, 0, |a| a.name(NAME_OF_TABLE, TABLE));
    for (id, family) in [(1, &V4), (3, &V6)] {
        let (guarded, permitted) = (family.guarded(slot), family.permitted(slot));
        set(batch, id, &guarded, 0, family.address_type, family.address_len);
        set(
            batch,
            id + 1,
            &permitted,
            libc::NFT_SET_INTERVAL as u32,
            TYPE_INTEGER,
            2 * family.address_len + 8,
        );
    }
    change(batch, slot, &Change::between(&Rules::default(), rules));
    for family in [&V4, &V6] {
        enforce(batch, family, slot);
    }
    for name in stale {
        batch.request(libc::NFT_MSG_DELSET, 0, |a| {
            a.name(NAME_OF_TABLE, TABLE);
            a.name(SET_NAME, name);
        });
    }
}

/// Changes the elements of the sets.
pub(super) fn change(batch: &mut Batch, slot: Slot, change: &Change) {
    change_family(batch, &V4, slot, &change.v4);
    change_family(batch, &V6, slot, &change.v6);
}

/// Removes the table, if there is one.
pub(super) fn remove(batch: &mut Batch) {
    batch.request(libc::NFT_MSG_NEWTABLE, libc::NLM_F_CREATE, |a| a.name(NAME_OF_TABLE, TABLE));
    batch.request(libc::NFT_MSG_DELTABLE, 0, |a| a.name(NAME_OF_TABLE, TABLE));
}

fn base_chain(a: &mut Attributes<'_>) {
    a.name(NAME_OF_TABLE, TABLE);
    a.name(CHAIN_NAME, PREROUTING);
    a.nest(CHAIN_HOOK, |a| {
        a.number(HOOK_NUM, libc::NF_INET_PRE_ROUTING as u32);
        a.number(HOOK_PRIORITY, libc::NF_IP_PRI_RAW as u32);
    });
    a.number(CHAIN_POLICY, libc::NF_ACCEPT as u32);
    a.name(CHAIN_TYPE, "filter");
}

/// The type of the key is for `nft`, which prints it; the kernel goes by the length. Intervals over several fields have to
/// be plain numbers: `nft` would die of a type that names the fields, for it takes them for concatenated ranges.
fn set(batch: &mut Batch, id: u32, name: &str, flags: u32, key_type: u32, key_len: u32) {
    batch.request(libc::NFT_MSG_NEWSET, libc::NLM_F_CREATE | libc::NLM_F_EXCL, |a| {
        a.name(NAME_OF_TABLE, TABLE);
        a.name(SET_NAME, name);
        a.number(SET_FLAGS, flags);
        a.number(SET_KEY_TYPE, key_type);
        a.number(SET_KEY_LEN, key_len);
        a.number(SET_ID, id);
    });
}

fn change_family<const A: usize, const K: usize>(
    batch: &mut Batch,
    family: &Family,
    slot: Slot,
    change: &SetsChange<A, K>,
) {
    let (guarded, permitted) = (family.guarded(slot), family.permitted(slot));
    // What goes goes first: what comes may lie where it was.
    elements(batch, libc::NFT_MSG_DELSETELEM, &permitted, &change.permitted.remove, interval);
    elements(batch, libc::NFT_MSG_DELSETELEM, &guarded, &change.guarded.remove, |a, key| element(a, key, 0));
    elements(batch, libc::NFT_MSG_NEWSETELEM, &permitted, &change.permitted.add, interval);
    elements(batch, libc::NFT_MSG_NEWSETELEM, &guarded, &change.guarded.add, |a, key| element(a, key, 0));
}

fn elements<T>(
    batch: &mut Batch,
    kind: libc::c_int,
    set: &str,
    elements: &[T],
    write: impl Fn(&mut Attributes<'_>, &T),
) {
    for chunk in elements.chunks(CHUNK) {
        batch.request(kind, libc::NLM_F_CREATE, |a| {
            a.name(NAME_OF_TABLE, TABLE);
            a.name(SET_NAME, set);
            a.nest(ELEMENTS, |a| chunk.iter().for_each(|element| write(a, element)));
        });
    }
}

/// Newer kernels want the end right after its beginning.
fn interval<const K: usize>(a: &mut Attributes<'_>, interval: &Interval<K>) {
    element(a, &interval.first, 0);
    element(a, &interval.end, libc::NFT_SET_ELEM_INTERVAL_END as u32);
}

fn element(a: &mut Attributes<'_>, key: &[u8], flags: u32) {
    a.nest(LIST_ELEM, |a| {
        a.nest(ELEM_KEY, |a| a.octets(DATA_VALUE, key));
        if flags != 0 {
            a.number(ELEM_FLAGS, flags);
        }
    });
}

fn enforce(batch: &mut Batch, family: &Family, slot: Slot) {
    let address = |a: &mut Attributes<'_>, register, at| {
        payload(a, register, libc::NFT_PAYLOAD_NETWORK_HEADER, at, family.address_len);
    };
    let words = family.address_len / 4;
    rule(batch, PREROUTING, |a| {
        is_family(a, family);
        address(a, REGISTER, family.destination_at);
        lookup(a, &family.guarded(slot));
        verdict(a, libc::NFT_GOTO, Some(family.chain));
    });
    rule(batch, family.chain, |a| {
        meta(a, REGISTER, libc::NFT_META_IIFTYPE);
        compare(a, libc::NFT_CMP_EQ, &libc::ARPHRD_LOOPBACK.to_ne_bytes());
        verdict(a, libc::NF_ACCEPT, None);
    });
    rule(batch, family.chain, |a| {
        is_family(a, family);
        address(a, REGISTER, family.destination_at);
        meta(a, REGISTER + words, libc::NFT_META_L4PROTO);
        payload(a, REGISTER + words + 1, libc::NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2);
        address(a, REGISTER + words + 2, family.source_at);
        lookup(a, &family.permitted(slot));
        verdict(a, libc::NF_ACCEPT, None);
    });
    rule(batch, family.chain, |a| {
        is_family(a, family);
        later_fragment(a, family);
        verdict(a, libc::NF_ACCEPT, None);
    });
    rule(batch, family.chain, |a| {
        expression(a, "counter", |_| ());
        verdict(a, libc::NF_DROP, None);
    });
}

fn rule(batch: &mut Batch, chain: &str, expressions: impl FnOnce(&mut Attributes<'_>)) {
    batch.request(libc::NFT_MSG_NEWRULE, libc::NLM_F_CREATE | libc::NLM_F_APPEND, |a| {
        a.name(NAME_OF_TABLE, TABLE);
        a.name(RULE_CHAIN, chain);
        a.nest(RULE_EXPRESSIONS, expressions);
    });
}

fn is_family(a: &mut Attributes<'_>, family: &Family) {
    meta(a, REGISTER, libc::NFT_META_NFPROTO);
    compare(a, libc::NFT_CMP_EQ, &[family.protocol]);
}

/// It has no ports, and without the first one nothing comes of it.
fn later_fragment(a: &mut Attributes<'_>, family: &Family) {
    let mask = if family.protocol == V4.protocol {
        payload(a, REGISTER, libc::NFT_PAYLOAD_NETWORK_HEADER, 6, 2);
        [0x1f, 0xff]
    } else {
        expression(a, "exthdr", |a| {
            a.number(EXTHDR_DREG, REGISTER);
            a.octets(EXTHDR_TYPE, &[libc::IPPROTO_FRAGMENT as u8]);
            a.number(EXTHDR_OFFSET, 2);
            a.number(EXTHDR_LEN, 2);
        });
        [0xff, 0xf8]
    };
    expression(a, "bitwise", |a| {
        a.number(BITWISE_SREG, REGISTER);
        a.number(BITWISE_DREG, REGISTER);
        a.number(BITWISE_LEN, 2);
        a.nest(BITWISE_MASK, |a| a.octets(DATA_VALUE, &mask));
        a.nest(BITWISE_XOR, |a| a.octets(DATA_VALUE, &[0, 0]));
    });
    compare(a, libc::NFT_CMP_NEQ, &[0, 0]);
}

fn meta(a: &mut Attributes<'_>, register: u32, key: libc::c_int) {
    expression(a, "meta", |a| {
        a.number(META_DREG, register);
        a.number(META_KEY, key as u32);
    });
}

fn payload(a: &mut Attributes<'_>, register: u32, base: libc::c_int, offset: u32, length: u32) {
    expression(a, "payload", |a| {
        a.number(PAYLOAD_DREG, register);
        a.number(PAYLOAD_BASE, base as u32);
        a.number(PAYLOAD_OFFSET, offset);
        a.number(PAYLOAD_LEN, length);
    });
}

fn compare(a: &mut Attributes<'_>, operation: libc::c_int, value: &[u8]) {
    expression(a, "cmp", |a| {
        a.number(CMP_SREG, REGISTER);
        a.number(CMP_OP, operation as u32);
        a.nest(CMP_DATA, |a| a.octets(DATA_VALUE, value));
    });
}

fn lookup(a: &mut Attributes<'_>, set: &str) {
    expression(a, "lookup", |a| {
        a.name(LOOKUP_SET, set);
        a.number(LOOKUP_SREG, REGISTER);
    });
}

fn verdict(a: &mut Attributes<'_>, code: libc::c_int, chain: Option<&str>) {
    expression(a, "immediate", |a| {
        a.number(IMMEDIATE_DREG, libc::NFT_REG_VERDICT as u32);
        a.nest(IMMEDIATE_DATA, |a| {
            a.nest(DATA_VERDICT, |a| {
                a.number(VERDICT_CODE, code as u32);
                if let Some(chain) = chain {
                    a.name(VERDICT_CHAIN, chain);
                }
            });
        });
    });
}

fn expression(a: &mut Attributes<'_>, name: &str, data: impl FnOnce(&mut Attributes<'_>)) {
    a.nest(LIST_ELEM, |a| {
        a.name(EXPR_NAME, name);
        a.nest(EXPR_DATA, data);
    });
}

/// The name of the table; its family is inet.
pub(super) const TABLE: &str = "vipcast";
/// How many rules it has.
pub(super) const RULES: usize = 10;
/// How many chains it has.
pub(super) const CHAINS: usize = 3;
pub(super) const V4: Family = Family {
    protocol: libc::NFPROTO_IPV4 as u8,
    source_at: 12,
    destination_at: 16,
    address_len: 4,
    address_type: TYPE_IPV4,
    chain: "guard4",
    digit: '4',
};
pub(super) const V6: Family = Family {
    protocol: libc::NFPROTO_IPV6 as u8,
    source_at: 8,
    destination_at: 24,
    address_len: 16,
    address_type: TYPE_IPV6,
    chain: "guard6",
    digit: '6',
};
const PREROUTING: &str = "prerouting";
/// Elements in a request: an attribute has to stay below 64 KiB, and an interval of IPv6 takes 120 octets.
const CHUNK: usize = 500;
const REGISTER: u32 = libc::NFT_REG32_00 as u32;

// linux/netfilter/nf_tables.h
pub(super) const TABLE_FLAGS: libc::c_int = 2;
pub(super) const TABLE_HANDLE: libc::c_int = 4;
pub(super) const CHAIN_HANDLE: libc::c_int = 2;
pub(super) const CHAIN_NAME: libc::c_int = 3;
pub(super) const CHAIN_HOOK: libc::c_int = 4;
pub(super) const CHAIN_POLICY: libc::c_int = 5;
const CHAIN_TYPE: libc::c_int = 7;
const HOOK_NUM: libc::c_int = 1;
const HOOK_PRIORITY: libc::c_int = 2;
pub(super) const RULE_CHAIN: libc::c_int = 2;
pub(super) const RULE_HANDLE: libc::c_int = 3;
const RULE_EXPRESSIONS: libc::c_int = 4;
const SET_FLAGS: libc::c_int = 3;
const SET_KEY_TYPE: libc::c_int = 4;
const SET_KEY_LEN: libc::c_int = 5;
const SET_ID: libc::c_int = 10;
pub(super) const ELEM_FLAGS: libc::c_int = 3;
const DATA_VERDICT: libc::c_int = 2;
const VERDICT_CODE: libc::c_int = 1;
const VERDICT_CHAIN: libc::c_int = 2;
const EXPR_NAME: libc::c_int = 1;
const EXPR_DATA: libc::c_int = 2;
const META_DREG: libc::c_int = 1;
const META_KEY: libc::c_int = 2;
const PAYLOAD_DREG: libc::c_int = 1;
const PAYLOAD_BASE: libc::c_int = 2;
const PAYLOAD_OFFSET: libc::c_int = 3;
const PAYLOAD_LEN: libc::c_int = 4;
const CMP_SREG: libc::c_int = 1;
const CMP_OP: libc::c_int = 2;
const CMP_DATA: libc::c_int = 3;
const LOOKUP_SET: libc::c_int = 1;
const LOOKUP_SREG: libc::c_int = 2;
const IMMEDIATE_DREG: libc::c_int = 1;
const IMMEDIATE_DATA: libc::c_int = 2;
const BITWISE_SREG: libc::c_int = 1;
const BITWISE_DREG: libc::c_int = 2;
const BITWISE_LEN: libc::c_int = 3;
const BITWISE_MASK: libc::c_int = 4;
const BITWISE_XOR: libc::c_int = 5;
const EXTHDR_DREG: libc::c_int = 1;
const EXTHDR_TYPE: libc::c_int = 2;
const EXTHDR_OFFSET: libc::c_int = 3;
const EXTHDR_LEN: libc::c_int = 4;
// What `nft` knows the types of keys by.
const TYPE_INTEGER: u32 = 4;
const TYPE_IPV4: u32 = 7;
const TYPE_IPV6: u32 = 8;
