//! The kernel's packet filter, nf_tables, over netlink: transactions, questions, and news of what others change.

mod message;
mod questions;
mod socket;

pub(crate) use message::{Attributes, Batch, attributes, find, number};
pub(crate) use questions::{DATA_VALUE, ELEM_KEY, ELEMENTS, LIST_ELEM, SET_NAME};
pub(crate) use socket::{NAME_OF_TABLE, News, NfTables};
