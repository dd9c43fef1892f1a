//! The table at the end, and the same for machines.

use comfy_table::{Cell, CellAlignment, Table, presets};
use serde::Serialize;

use super::outcome::{Event, Outcome};

/// Everything that was measured.
#[derive(Debug, Serialize)]
pub struct Report<'a> {
    /// How many nodes took part.
    pub nodes: usize,
    /// Whether every promise held.
    pub kept: bool,
    /// What happened, in order.
    pub outcomes: &'a [Outcome],
}

impl<'a> Report<'a> {
    /// The report on these outcomes. No outcome is no success.
    #[must_use]
    pub fn new(nodes: usize, outcomes: &'a [Outcome]) -> Self {
        let kept = !outcomes.is_empty() && outcomes.iter().all(Outcome::kept);
        Self { nodes, kept, outcomes }
    }

    /// The table, with the other figures and the broken promises under it.
    #[must_use]
    pub fn table(&self) -> String {
        let mut table = Table::new();
        table.load_style(presets::UTF8_FULL_CONDENSED).set_header(HEADER);
        for outcome in self.outcomes {
            table.add_row(row(outcome));
        }
        let notes = self.outcomes.iter().flat_map(notes);
        notes.fold(table.to_string(), |text, note| text + "\n" + &note)
    }

    /// One JSON document.
    pub fn json(&self) -> serde_json::Result<String> {
        serde_json::to_string_pretty(self)
    }
}

fn row(outcome: &Outcome) -> Vec<Cell> {
    let who = |who: &Option<String>| Cell::new(who.as_deref().unwrap_or("-"));
    let number = |number: u128| Cell::new(number).set_alignment(CellAlignment::Right);
    // The gap from before the start to after an outage says nothing.
    let gap = match outcome.event {
        Event::Whole => Cell::new("-").set_alignment(CellAlignment::Right),
        Event::Start
        | Event::HandOver
        | Event::Crash
        | Event::Freeze
        | Event::Cable
        | Event::Outage
        | Event::Services
        | Event::ServicesHandOver
        | Event::ServicesCrash => number(outcome.gap.as_millis()),
    };
    let double =
        format!("{} ({} of {})", outcome.longest_double.as_millis(), outcome.double_rounds, outcome.rounds);
    let verdict = if outcome.kept() { "kept" } else { "BROKEN" };
    let double = Cell::new(double).set_alignment(CellAlignment::Right);
    vec![
        Cell::new(outcome.event.title()),
        who(&outcome.before),
        who(&outcome.after),
        gap,
        double,
        Cell::new(verdict),
    ]
}

fn notes(outcome: &Outcome) -> Vec<String> {
    let title = outcome.event.title();
    let figures = outcome.figures.iter().map(|figure| {
        let (value, bound) = (figure.value.as_millis(), figure.bound.as_millis());
        format!("{title}: {} {value} ms (at most {bound} ms)", figure.name)
    });
    let broken = outcome.broken.iter().map(|broken| format!("{title}: BROKEN: {broken}"));
    figures.chain(broken).collect()
}

const HEADER: [&str; 6] =
    ["event", "had it", "took it", "client's gap, ms", "two owners, longest ms (rounds)", "promises"];

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn outcomes() -> Vec<Outcome> {
        let crash = Outcome {
            before: Some("node1".to_owned()),
            after: Some("node2".to_owned()),
            gap: Duration::from_millis(5123),
            rounds: 400,
            ..Outcome::new(Event::Crash)
        };
        let broken =
            Outcome::new(Event::Cable).bound("client's gap", Duration::from_secs(9), Duration::from_secs(6));
        vec![crash, broken]
    }

    #[test]
    fn the_table_shows_each_event_and_what_was_broken() {
        let table = Report::new(3, &outcomes()).table();
        let lines: Vec<_> = table.lines().collect();
        assert!(
            lines[3].contains("crash (kill -9)")
                && lines[3].contains("5123")
                && lines[3].contains("0 (0 of 400)")
        );
        assert!(lines[3].contains("kept") && lines[4].contains("BROKEN"), "{table}");
        assert_eq!(
            lines.last(),
            Some(&"pulled cable: BROKEN: client's gap: 9000 ms, promised at most 6000 ms")
        );
    }

    #[test]
    fn the_json_carries_milliseconds_and_the_verdict() {
        let all = outcomes();
        let json: serde_json::Value = serde_json::from_str(&Report::new(3, &all).json().unwrap()).unwrap();
        assert_eq!(json["kept"], false);
        assert_eq!(json["outcomes"][0]["gap_ms"], 5123);
        assert_eq!(json["outcomes"][0]["event"], "crash");
        assert_eq!(json["outcomes"][1]["figures"][0]["bound_ms"], 6000);
    }

    #[test]
    fn a_report_about_nothing_is_no_success() {
        assert!(!Report::new(3, &[]).kept);
    }
}
