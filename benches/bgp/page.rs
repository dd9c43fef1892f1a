//! The figures side by side.

use std::time::Duration;

/// One figure, of us and of others in the same run.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    what: String,
    unit: &'static str,
    ours: f64,
    others: Vec<(&'static str, f64)>,
    bound: Bound,
}

/// What ours has to be.
#[derive(Clone, Copy, Debug)]
enum Bound {
    AtMost(f64),
    /// No more than this one of the others.
    AtMostOf(&'static str),
    Told,
}

impl Row {
    pub(crate) fn new(what: impl Into<String>, unit: &'static str, ours: f64) -> Self {
        Self { what: what.into(), unit, ours, others: Vec::new(), bound: Bound::Told }
    }

    pub(crate) fn millis(what: impl Into<String>, ours: Duration) -> Self {
        Self::new(what, "ms", millis(ours))
    }

    pub(crate) fn beside(mut self, who: &'static str, figure: f64) -> Self {
        self.others.push((who, figure));
        self
    }

    pub(crate) fn at_most(mut self, bound: f64) -> Self {
        self.bound = Bound::AtMost(bound);
        self
    }

    pub(crate) fn at_most_of(mut self, who: &'static str) -> Self {
        self.bound = Bound::AtMostOf(who);
        self
    }

    fn limit(&self) -> Option<f64> {
        match self.bound {
            Bound::AtMost(bound) => Some(bound),
            Bound::AtMostOf(who) => {
                self.others.iter().find(|(other, _)| *other == who).map(|(_, figure)| *figure)
            }
            Bound::Told => None,
        }
    }

    pub(crate) fn is_kept(&self) -> bool {
        self.limit().is_none_or(|limit| self.ours <= limit)
    }

    fn cells(&self) -> [String; 5] {
        let show = |figure: f64| match figure {
            whole if whole.fract() == 0.0 => format!("{whole:.0}"),
            small if small < 10.0 => format!("{small:.2}"),
            other => format!("{other:.0}"),
        };
        let others: Vec<String> =
            self.others.iter().map(|(who, figure)| format!("{who} {}", show(*figure))).collect();
        let required = self.limit().map(|limit| format!("≤ {}", show(limit))).unwrap_or_default();
        let verdict = match self.limit() {
            None => "",
            Some(_) if self.is_kept() => "kept",
            Some(_) => "MISSED",
        };
        let ours = format!("{} {}", show(self.ours), self.unit);
        [self.what.clone(), ours, others.join(", "), required, verdict.to_owned()]
    }
}

pub(crate) fn millis(span: Duration) -> f64 {
    span.as_secs_f64() * 1000.0
}

/// In the order in which they were measured.
pub(crate) fn table(rows: &[Row]) -> String {
    let mut table = comfy_table::Table::new();
    table.set_header(["", "vipcast", "others, same run", "required", ""]);
    for row in rows {
        table.add_row(row.cells());
    }
    table.to_string()
}
