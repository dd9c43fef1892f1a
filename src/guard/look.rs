//! What is there of our table in the kernel, as far as it tells whether somebody else has changed it.

use std::collections::BTreeSet;
use std::io;

use vipcast_proto::guard::Interval;

use super::layout::{
    CHAIN_HANDLE, CHAIN_HOOK, CHAIN_NAME, CHAIN_POLICY, CHAINS, ELEM_FLAGS, RULE_CHAIN, RULE_HANDLE, RULES,
    TABLE, TABLE_FLAGS, TABLE_HANDLE,
};
use crate::nf_tables::{
    DATA_VALUE, ELEM_KEY, ELEMENTS, NAME_OF_TABLE, NfTables, SET_NAME, attributes, find, number,
};

/// The table, its chains and its rules, by the numbers that the kernel gave them: what is made again gets others, and a
/// rule cannot be changed but by making it again.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Marks {
    table: Mark,
    chains: Vec<Mark>,
    rules: Vec<Mark>,
}

/// Some attributes of an object.
type Mark = Vec<Option<Vec<u8>>>;

/// The keys of a set in order, each with whether it is the end of an interval.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Elements(Vec<(Vec<u8>, bool)>);

impl Marks {
    pub(super) fn read(kernel: &mut NfTables) -> io::Result<Self> {
        let table =
            kernel.ask(INET, libc::NFT_MSG_GETTABLE, libc::NLM_F_ACK, |a| a.name(NAME_OF_TABLE, TABLE))?;
        let table = table.first().map(|body| mark(body, &[TABLE_HANDLE, TABLE_FLAGS])).unwrap_or_default();
        let chain = [CHAIN_HANDLE, CHAIN_NAME, CHAIN_HOOK, CHAIN_POLICY];
        Ok(Self {
            table,
            chains: marks(kernel, libc::NFT_MSG_GETCHAIN, &chain)?,
            rules: marks(kernel, libc::NFT_MSG_GETRULE, &[RULE_CHAIN, RULE_HANDLE])?,
        })
    }

    /// Whether as much is there as we make.
    pub(super) fn are_complete(&self) -> bool {
        self.chains.len() == CHAINS && self.rules.len() == RULES
    }
}

impl Elements {
    pub(super) fn of_addresses<const A: usize>(addresses: &BTreeSet<[u8; A]>) -> Self {
        Self(addresses.iter().map(|address| (address.to_vec(), false)).collect())
    }

    pub(super) fn of_intervals<const K: usize>(intervals: &BTreeSet<Interval<K>>) -> Self {
        let ends = intervals.iter().flat_map(|i| [(i.first.to_vec(), false), (i.end.to_vec(), true)]);
        Self(ends.collect())
    }
}

/// The sets of our table; none where there is no table.
pub(super) fn set_names(kernel: &mut NfTables) -> io::Result<Vec<String>> {
    let answers = match dump(kernel, libc::NFT_MSG_GETSET) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        answers => answers?,
    };
    let name = |body: &Vec<u8>| {
        Some(String::from_utf8_lossy(find(body, SET_NAME)?.strip_suffix(&[0])?).into_owned())
    };
    Ok(answers.iter().filter_map(name).collect())
}

/// What is in a set of ours.
pub(super) fn elements(kernel: &mut NfTables, set: &str) -> io::Result<Elements> {
    let answers = kernel.ask(INET, libc::NFT_MSG_GETSETELEM, libc::NLM_F_DUMP, |a| {
        a.name(NAME_OF_TABLE, TABLE);
        a.name(SET_NAME, set);
    })?;
    let lists = answers.iter().filter_map(|body| find(body, ELEMENTS));
    let mut elements: Vec<_> = lists.flat_map(attributes).filter_map(|(_, value)| element(value)).collect();
    elements.sort_unstable();
    Ok(Elements(elements))
}

fn element(value: &[u8]) -> Option<(Vec<u8>, bool)> {
    let key = find(find(value, ELEM_KEY)?, DATA_VALUE)?;
    let flags = find(value, ELEM_FLAGS).and_then(number).unwrap_or(0);
    Some((key.to_vec(), flags & libc::NFT_SET_ELEM_INTERVAL_END as u32 != 0))
}

fn marks(kernel: &mut NfTables, kind: libc::c_int, kinds: &[libc::c_int]) -> io::Result<Vec<Mark>> {
    Ok(dump(kernel, kind)?.iter().map(|body| mark(body, kinds)).collect())
}

fn mark(body: &[u8], kinds: &[libc::c_int]) -> Mark {
    kinds.iter().map(|kind| find(body, *kind).map(<[u8]>::to_vec)).collect()
}

/// All objects of a kind in our table. Kernels differ in whether they leave out those of other tables.
fn dump(kernel: &mut NfTables, kind: libc::c_int) -> io::Result<Vec<Vec<u8>>> {
    let mut bodies = kernel.ask(INET, kind, libc::NLM_F_DUMP, |a| a.name(NAME_OF_TABLE, TABLE))?;
    let table = [TABLE.as_bytes(), &[0]].concat();
    bodies.retain(|body| find(body, NAME_OF_TABLE) == Some(&table));
    Ok(bodies)
}

const INET: libc::c_int = libc::NFPROTO_INET;
