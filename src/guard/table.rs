//! What is in force in the kernel, and how it gets there: the least change where our table is as we left it, all anew where
//! it is not.

use std::sync::Arc;
use std::{io, mem};

use vipcast_proto::guard::{Change, Content, Rules};

use super::layout::{self, Slot, TABLE, V4, V6};
use super::look::{Elements, Marks, elements, set_names};
use crate::nf_tables::{Batch, NfTables};

/// Our table in the kernel's packet filter.
#[derive(Debug)]
pub(super) struct Table {
    kernel: NfTables,
    there: There,
}

/// What is there of the table.
#[derive(Debug)]
enum There {
    Unknown,
    Nothing,
    Made(Made),
}

/// What was made, and how to recognise it.
#[derive(Debug)]
struct Made {
    slot: Slot,
    rules: Arc<Rules>,
    marks: Marks,
    /// Nothing at all has changed in nf_tables since it was seen intact, as long as this is its generation.
    seen: Option<u32>,
}

/// Whether to believe that the table is as we left it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Look {
    /// Look whether it is.
    Closely,
    /// The news would have told.
    Away,
}

/// What was done.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Outcome {
    /// Nothing had to be.
    AsItWas,
    /// The table is new, or in place of what an earlier life left.
    Built,
    /// Its sets have changed.
    Changed,
    /// Somebody else had changed it, and it is as it should be again.
    Mended,
    /// It is gone.
    Removed,
}

impl Table {
    /// Speaks to the kernel of the calling thread's network namespace. What is there of the table is unknown.
    pub(super) fn open() -> io::Result<Self> {
        NfTables::open().map(|kernel| Self { kernel, there: There::Unknown })
    }

    /// By this number the kernel tells our changes from those of others.
    pub(super) const fn port(&self) -> u32 {
        self.kernel.port()
    }

    /// Whether what was enforced last is still enforced.
    pub(super) const fn holds(&self) -> bool {
        matches!(self.there, There::Made(_))
    }

    /// Makes the kernel enforce `rules`, whatever it enforces now.
    pub(super) fn settle(&mut self, rules: &Arc<Rules>, look: Look) -> io::Result<Outcome> {
        match (mem::replace(&mut self.there, There::Unknown), rules.is_empty()) {
            (There::Nothing, true) => {
                self.there = There::Nothing;
                Ok(Outcome::AsItWas)
            }
            (There::Unknown | There::Made(_), true) => self.remove(),
            (There::Unknown | There::Nothing, false) => self.build(rules).map(|()| Outcome::Built),
            (There::Made(made), false) => self.adapt(made, rules, look),
        }
    }

    /// Removes what was made, unless another process has made it its own in the meantime.
    pub(super) fn leave(&mut self) -> io::Result<Outcome> {
        match mem::replace(&mut self.there, There::Unknown) {
            There::Made(made) if Marks::read(&mut self.kernel)? == made.marks => self.remove(),
            There::Made(_) | There::Unknown | There::Nothing => Ok(Outcome::AsItWas),
        }
    }

    fn remove(&mut self) -> io::Result<Outcome> {
        let removed = if self.kernel.has_table(libc::NFPROTO_INET, TABLE)? {
            self.kernel.transact(layout::remove).map(|()| Outcome::Removed)?
        } else {
            Outcome::AsItWas
        };
        self.there = There::Nothing;
        Ok(removed)
    }

    fn adapt(&mut self, mut made: Made, rules: &Arc<Rules>, look: Look) -> io::Result<Outcome> {
        if look == Look::Closely && !self.is_intact(&mut made) {
            return self.build(rules).map(|()| Outcome::Mended);
        }
        let change = Change::between(&made.rules, rules);
        if change.is_empty() {
            self.there = There::Made(made);
            return Ok(Outcome::AsItWas);
        }
        let slot = made.slot;
        if let Ok(generations) = self.transact(|batch| layout::change(batch, slot, &change)) {
            let seen = generations.filter(|(before, _)| made.seen == Some(*before)).map(|(_, after)| after);
            self.there = There::Made(Made { rules: Arc::clone(rules), seen, ..made });
            return Ok(Outcome::Changed);
        }
        let built = self.build(rules);
        if built.is_err() && self.is_intact(&mut made) {
            self.there = There::Made(made);
        }
        built.map(|()| Outcome::Changed)
    }

    /// One transaction: the rules of before and their sets filter until those of now do. Where the table is of another
    /// shape, that of another version, it has to go as a whole.
    fn build(&mut self, rules: &Arc<Rules>) -> io::Result<()> {
        let stale = set_names(&mut self.kernel)?;
        let taken = |slot| {
            [&V4, &V6].iter().any(|f| stale.contains(&f.guarded(slot)) || stale.contains(&f.permitted(slot)))
        };
        let slot = if taken(Slot::A) { Slot::B } else { Slot::A };
        let generations = match self.transact(|batch| layout::build(batch, slot, &stale, rules)) {
            Ok(generations) => generations,
            Err(_) => self.transact(|batch| {
                layout::remove(batch);
                layout::build(batch, slot, &[], rules);
            })?,
        };
        let marks = Marks::read(&mut self.kernel)?;
        // The marks may be of something later; then this is not the generation any more when it is looked at.
        let seen = generations.map(|(_, after)| after);
        self.there = There::Made(Made { slot, rules: Arc::clone(rules), marks, seen });
        Ok(())
    }

    /// The generations before and after, if there was nobody else's between them: then all is as it was but for what we
    /// changed, whatever becomes of the news, of which a large change of our own is more than the socket holds.
    fn transact(&mut self, fill: impl FnOnce(&mut Batch)) -> io::Result<Option<(u32, u32)>> {
        let before = self.kernel.generation()?;
        self.kernel.transact(fill)?;
        let after = self.kernel.generation()?;
        Ok(Some((before, after)).filter(|_| before.wrapping_add(1) == after))
    }

    /// Whether the table is as we left it. What cannot be read is not.
    fn is_intact(&mut self, made: &mut Made) -> bool {
        let now = self.kernel.generation().ok();
        if now.is_some() && now == made.seen {
            return true;
        }
        made.seen = now;
        Marks::read(&mut self.kernel).is_ok_and(|marks| marks == made.marks && marks.are_complete())
            && self.has_elements(made).unwrap_or(false)
    }

    fn has_elements(&mut self, made: &Made) -> io::Result<bool> {
        let Content { v4, v6 } = Content::of(made.rules.iter());
        let slot = made.slot;
        Ok(elements(&mut self.kernel, &V4.guarded(slot))? == Elements::of_addresses(&v4.guarded)
            && elements(&mut self.kernel, &V6.guarded(slot))? == Elements::of_addresses(&v6.guarded)
            && elements(&mut self.kernel, &V4.permitted(slot))? == Elements::of_intervals(&v4.permitted)
            && elements(&mut self.kernel, &V6.permitted(slot))? == Elements::of_intervals(&v6.permitted))
    }
}
