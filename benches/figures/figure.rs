//! One figure: what was measured, what is required, and whether that is kept.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A measured figure.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct Figure {
    /// The event or condition.
    pub(crate) of: Cow<'static, str>,
    /// What was measured.
    pub(crate) what: String,
    /// How much it was.
    pub(crate) value: f64,
    /// In what.
    pub(crate) unit: Cow<'static, str>,
    /// What it has to be.
    pub(crate) bound: Bound,
    /// What others show: in the same run, or in the same kind of laboratory.
    pub(crate) others: String,
}

/// What a figure has to be.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Bound {
    /// No more than this.
    AtMost(f64),
    /// No less than this.
    AtLeast(f64),
    /// It is told, not judged.
    Told,
}

impl Figure {
    pub(crate) fn new(of: &'static str, what: impl Into<String>, value: f64, unit: &'static str) -> Self {
        let (of, unit) = (of.into(), unit.into());
        Self { of, what: what.into(), value, unit, bound: Bound::Told, others: String::new() }
    }

    pub(crate) fn millis(of: &'static str, what: impl Into<String>, span: Duration) -> Self {
        Self::new(of, what, span.as_secs_f64() * 1000.0, "ms")
    }

    pub(crate) fn count(of: &'static str, what: impl Into<String>, count: usize) -> Self {
        Self::new(of, what, count as f64, "")
    }

    pub(crate) fn at_most(mut self, bound: f64) -> Self {
        self.bound = Bound::AtMost(bound);
        self
    }

    pub(crate) fn at_least(mut self, bound: f64) -> Self {
        self.bound = Bound::AtLeast(bound);
        self
    }

    /// What kube-vip 1.2.3 shows, where it stands alone.
    pub(crate) fn kube_vip(mut self, shows: &'static str) -> Self {
        self.others = shows.to_owned();
        self
    }

    /// What somebody else showed in the same run.
    #[allow(dead_code, reason = "in some benchmarks nobody else runs")]
    pub(crate) fn beside(self, who: &str, value: f64) -> Self {
        let shows = format!("{who} {}", self.with_unit(value));
        self.beside_words(shows)
    }

    /// The same in words.
    #[allow(dead_code, reason = "in some benchmarks nobody else runs")]
    pub(crate) fn beside_words(mut self, words: impl AsRef<str>) -> Self {
        let comma = if self.others.is_empty() { "" } else { ", " };
        self.others += comma;
        self.others += words.as_ref();
        self
    }

    pub(crate) fn is_kept(&self) -> bool {
        match self.bound {
            Bound::AtMost(bound) => self.value <= bound,
            Bound::AtLeast(bound) => self.value >= bound,
            Bound::Told => true,
        }
    }

    pub(crate) fn measured(&self) -> String {
        self.with_unit(self.value)
    }

    pub(crate) fn required(&self) -> String {
        match self.bound {
            Bound::AtMost(0.0) => "0".to_owned(),
            Bound::AtMost(bound) => format!("≤ {}", self.with_unit(bound)),
            Bound::AtLeast(bound) => format!("≥ {}", self.with_unit(bound)),
            Bound::Told => String::new(),
        }
    }

    pub(crate) fn verdict(&self) -> &'static str {
        match self.bound {
            Bound::Told => "",
            Bound::AtMost(_) | Bound::AtLeast(_) if self.is_kept() => "kept",
            Bound::AtMost(_) | Bound::AtLeast(_) => "MISSED",
        }
    }

    fn with_unit(&self, value: f64) -> String {
        // Three digits say enough of a measurement, and no counts are cut.
        let digits = match value {
            whole if whole.fract() == 0.0 => 0,
            0.0..0.1 => 3,
            0.1..10.0 => 2,
            10.0..100.0 => 1,
            _ => 0,
        };
        format!("{value:.digits$} {}", self.unit).trim_end().to_owned()
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {}: {}", self.of, self.what, self.measured())?;
        match self.bound {
            Bound::Told => Ok(()),
            Bound::AtMost(_) | Bound::AtLeast(_) => write!(f, " ({}, {})", self.required(), self.verdict()),
        }
    }
}
