//! The Poll Sequence: how the other side is made to know new timers before they count (RFC 5880 §6.5, §6.8.3).

/// Where the sequence stands.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) enum Poll {
    /// None is under way.
    #[default]
    Idle,
    /// Every periodic packet has the Poll bit; a Final confirms what is advertised.
    Active,
    /// The same, but what is advertised has changed since: a Final may answer the older packets and confirms nothing.
    Outdated,
    /// Confirmed; the next sequence has to wait for a packet without the Final bit, as a late Final could be taken for its own.
    Settling,
    /// The same, and a sequence is waiting.
    Waiting,
}

impl Poll {
    /// What is advertised has changed.
    pub(super) fn begin(&mut self) {
        *self = match self {
            Self::Idle => Self::Active,
            Self::Active | Self::Outdated => Self::Outdated,
            Self::Settling | Self::Waiting => Self::Waiting,
        };
    }

    /// A packet was received. True where it confirms all that is advertised.
    pub(super) fn received(&mut self, is_final: bool) -> bool {
        let (next, confirmed) = match (*self, is_final) {
            (Self::Active, true) => (Self::Settling, true),
            (Self::Outdated, true) => (Self::Waiting, false),
            (Self::Settling, false) => (Self::Idle, false),
            (Self::Waiting, false) => (Self::Active, false),
            (
                unchanged @ (Self::Idle | Self::Active | Self::Outdated | Self::Settling | Self::Waiting),
                _,
            ) => (unchanged, false),
        };
        *self = next;
        confirmed
    }

    /// Whether packets have the Poll bit.
    pub(super) const fn is_active(self) -> bool {
        matches!(self, Self::Active | Self::Outdated)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_during_a_sequence_needs_a_sequence_of_its_own() {
        let mut poll = Poll::default();
        poll.begin();
        poll.begin();
        let confirmed = [true, true, false, false, true].map(|is_final| poll.received(is_final));
        assert_eq!(confirmed, [false, false, false, false, true]);
        assert_eq!(poll, Poll::Settling);
    }

    #[test]
    fn a_final_that_nobody_asked_for_confirms_nothing() {
        let mut poll = Poll::default();
        assert!(!poll.received(true));
        poll.begin();
        assert!(!poll.received(false) && poll.is_active());
        assert!(poll.received(true) && !poll.is_active());
        poll.begin();
        assert!(!poll.received(true) && !poll.is_active(), "the same Final, late");
        assert!(!poll.received(false) && poll.is_active());
    }
}
