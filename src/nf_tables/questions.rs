//! What can be asked of nf_tables in one question.

use std::io;

use super::message::{find, number};
use super::socket::{NAME_OF_TABLE, NfTables};

impl NfTables {
    /// The number of changes that nf_tables has seen in this network namespace.
    pub(crate) fn generation(&mut self) -> io::Result<u32> {
        let answers = self.ask(libc::NFPROTO_UNSPEC, libc::NFT_MSG_GETGEN, libc::NLM_F_ACK, |_| ())?;
        let id = answers.first().and_then(|body| find(body, GENERATION_ID)).and_then(number);
        id.ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    /// Whether a family (`NFPROTO_…`) has a table of this name.
    pub(crate) fn has_table(&mut self, family: libc::c_int, table: &str) -> io::Result<bool> {
        found(self.ask(family, libc::NFT_MSG_GETTABLE, libc::NLM_F_ACK, |a| a.name(NAME_OF_TABLE, table)))
    }

    /// Whether a set or map of a table has an element with this key. None has where there is no such set.
    pub(crate) fn has_element(
        &mut self,
        family: libc::c_int,
        table: &str,
        set: &str,
        key: &[u8],
    ) -> io::Result<bool> {
        found(self.ask(family, libc::NFT_MSG_GETSETELEM, libc::NLM_F_ACK, |a| {
            a.name(NAME_OF_TABLE, table);
            a.name(SET_NAME, set);
            a.nest(ELEMENTS, |a| {
                a.nest(LIST_ELEM, |a| a.nest(ELEM_KEY, |a| a.octets(DATA_VALUE, key)));
            });
        }))
    }
}

fn found(answers: io::Result<Vec<Vec<u8>>>) -> io::Result<bool> {
    match answers {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        answers => answers.map(|_| true),
    }
}

const GENERATION_ID: libc::c_int = 1;
pub(crate) const SET_NAME: libc::c_int = 2;
pub(crate) const ELEMENTS: libc::c_int = 3;
pub(crate) const LIST_ELEM: libc::c_int = 1;
pub(crate) const ELEM_KEY: libc::c_int = 1;
pub(crate) const DATA_VALUE: libc::c_int = 1;
