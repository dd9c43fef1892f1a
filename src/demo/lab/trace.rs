//! What a client's datagrams say about the VIP: the longest gap, who answered before and after it, how many were lost.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// Everything the client sent and received, in order.
#[derive(Debug, Default)]
pub struct Trace {
    /// When each datagram left; its index is its sequence number.
    sent: Vec<Sent>,
    /// The answers as they came.
    answers: Vec<Answer>,
}

/// One datagram that left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sent {
    /// When.
    pub at: Instant,
    /// How much later than planned, because the client itself was held up.
    pub late: Duration,
}

/// One answer that came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// To which datagram.
    pub sequence: usize,
    /// From which node.
    pub node: u8,
    /// When.
    pub at: Instant,
}

/// How well the VIP could be reached in some span of time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reach {
    /// Datagrams sent.
    pub sent: usize,
    /// Of these, never answered so far.
    pub lost: usize,
    /// The longest time for which a datagram was on its way and nothing came.
    pub gap: Duration,
    /// The longest time by which the client itself was late in sending: gaps shorter than this say nothing.
    pub late: Duration,
    /// Who answered last before the span.
    pub before: Option<u8>,
    /// Who answered last within the span.
    pub after: Option<u8>,
    /// When the first answer within the span came.
    pub first_answer: Option<Instant>,
    /// When the last answer within the span came.
    pub last_answer: Option<Instant>,
    /// Everybody who answered within it.
    pub answerers: BTreeSet<u8>,
}

impl Trace {
    /// Records a datagram; its sequence number is the count of those before it.
    pub fn sent(&mut self, sent: Sent) {
        self.sent.push(sent);
    }

    /// Records an answer.
    pub fn answered(&mut self, answer: Answer) {
        self.answers.push(answer);
    }

    /// The last answer that came.
    #[must_use]
    pub fn last(&self) -> Option<Answer> {
        self.answers.last().copied()
    }

    /// The first answer after `from` by somebody whom `accepted` likes.
    #[must_use]
    pub fn first_after(&self, from: Instant, accepted: impl Fn(u8) -> bool) -> Option<Answer> {
        let later = self.answers.iter().rev().take_while(|answer| answer.at > from);
        later.filter(|answer| accepted(answer.node)).last().copied()
    }

    /// What happened after `from` and up to `to`.
    #[must_use]
    pub fn reach(&self, from: Instant, to: Instant) -> Reach {
        let begin = self.answers.partition_point(|answer| answer.at <= from);
        let end = self.answers.partition_point(|answer| answer.at <= to);
        let earlier = self.answers.get(..begin).unwrap_or_default();
        let within = self.answers.get(begin..end).unwrap_or_default();
        let sent = self.sent_between(from, to);
        Reach {
            sent: sent.len(),
            lost: sent.len() - self.answered_among(&sent),
            gap: self.longest_gap(earlier, within, from, to),
            late: self.sent.get(sent).into_iter().flatten().map(|sent| sent.late).max().unwrap_or_default(),
            before: earlier.last().map(|answer| answer.node),
            after: within.last().map(|answer| answer.node),
            first_answer: within.first().map(|answer| answer.at),
            last_answer: within.last().map(|answer| answer.at),
            answerers: within.iter().map(|answer| answer.node).collect(),
        }
    }

    fn sent_between(&self, from: Instant, to: Instant) -> std::ops::Range<usize> {
        let begin = self.sent.partition_point(|sent| sent.at <= from);
        begin..self.sent.partition_point(|sent| sent.at <= to).max(begin)
    }

    fn answered_among(&self, sent: &std::ops::Range<usize>) -> usize {
        let answered = self.answers.iter().map(|answer| answer.sequence);
        answered.filter(|sequence| sent.contains(sequence)).collect::<BTreeSet<_>>().len()
    }

    /// Time counts only while a datagram is unanswered on its way: where the client was held up, nobody was asked.
    fn longest_gap(&self, earlier: &[Answer], within: &[Answer], from: Instant, to: Instant) -> Duration {
        let mut heard = from;
        let mut next = earlier.iter().map(|answer| answer.sequence + 1).max().unwrap_or(0);
        next = next.max(self.sent.partition_point(|sent| sent.at <= from).saturating_sub(1));
        let mut longest = Duration::ZERO;
        for answer in within {
            longest = longest.max(self.waited(next, heard, answer.at));
            heard = answer.at;
            next = next.max(answer.sequence + 1);
        }
        longest.max(self.waited(next, heard, to))
    }

    fn waited(&self, next: usize, heard: Instant, until: Instant) -> Duration {
        let asked = self.sent.get(next).map_or(until, |sent| sent.at);
        until.saturating_duration_since(asked.max(heard))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    /// A client that sends each millisecond, and is answered at once by whoever `answerer` names.
    fn trace(begin: Instant, count: u64, answerer: impl Fn(u64) -> Option<u8>) -> Trace {
        let mut trace = Trace::default();
        for n in 0..count {
            let at = begin + ms(n);
            trace.sent(Sent { at, late: Duration::ZERO });
            if let Some(node) = answerer(n) {
                trace.answered(Answer { sequence: usize::try_from(n).unwrap(), node, at });
            }
        }
        trace
    }

    #[test]
    fn a_hand_over_is_a_gap_between_two_answerers() {
        let t0 = crate::clock::now();
        let trace = trace(t0, 1000, |n| match n {
            0..300 => Some(1),
            300..720 => None,
            _ => Some(2),
        });
        assert_eq!(
            trace.reach(t0 + ms(99), t0 + ms(999)),
            Reach {
                sent: 900,
                lost: 420,
                gap: ms(420),
                late: Duration::ZERO,
                before: Some(1),
                after: Some(2),
                first_answer: Some(t0 + ms(100)),
                last_answer: Some(t0 + ms(999)),
                answerers: BTreeSet::from([1, 2]),
            }
        );
    }

    #[test]
    fn silence_at_either_end_of_the_span_is_a_gap() {
        let t0 = crate::clock::now();
        let never = trace(t0, 500, |_| None);
        assert_eq!(never.reach(t0 + ms(100), t0 + ms(400)).gap, ms(300));
        let stopped = trace(t0, 500, |n| (n < 200).then_some(1));
        assert_eq!(stopped.reach(t0, t0 + ms(499)).gap, ms(299));
        let came = trace(t0, 500, |n| (n >= 200).then_some(1));
        assert_eq!(came.reach(t0 + ms(50), t0 + ms(499)).gap, ms(150));
    }

    #[test]
    fn a_client_that_was_held_up_saw_no_gap() {
        let t0 = crate::clock::now();
        let mut trace = trace(t0, 100, |_| Some(1));
        let late = t0 + ms(600);
        trace.sent(Sent { at: late, late: ms(500) });
        trace.answered(Answer { sequence: 100, node: 1, at: late });
        let reach = trace.reach(t0, late);
        assert_eq!((reach.gap, reach.late), (Duration::ZERO, ms(500)));
    }

    #[test]
    fn the_first_answer_of_another_is_found() {
        let t0 = crate::clock::now();
        let trace = trace(t0, 100, |n| Some(if n < 50 { 1 } else { 2 }));
        assert_eq!(trace.first_after(t0, |node| node != 1).map(|answer| answer.at), Some(t0 + ms(50)));
        assert_eq!(trace.first_after(t0 + ms(50), |node| node == 1), None);
    }
}
