//! A span of time as people say it: its two largest units.

use std::time::Duration;

/// `2m3s`, `4h`, `5d1h`.
pub(in crate::cli) fn short(span: Duration) -> String {
    let seconds = span.as_secs();
    let place = UNITS.iter().position(|(size, _)| seconds >= *size);
    let Some((size, unit)) = place.and_then(|at| UNITS.get(at)) else {
        return "0s".into();
    };
    let next = place.and_then(|at| UNITS.get(at + 1));
    let rest = next.map(|(small, unit)| (seconds % size / small, unit)).filter(|(count, _)| *count > 0);
    match rest {
        Some((count, small)) => format!("{}{unit}{count}{small}", seconds / size),
        None => format!("{}{unit}", seconds / size),
    }
}

/// A deadline that is near: `2.8s`; else as [`short`].
pub(super) fn precise(span: Duration) -> String {
    if span < Duration::from_secs(60) {
        format!("{}.{}s", span.as_secs(), span.subsec_millis() / 100)
    } else {
        short(span)
    }
}

const UNITS: [(u64, &str); 4] = [(86_400, "d"), (3_600, "h"), (60, "m"), (1, "s")];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_two_largest_units_are_named() {
        let said = [0, 59, 60, 123, 3_600, 3_659, 90_061, 864_000].map(|s| short(Duration::from_secs(s)));
        assert_eq!(said, ["0s", "59s", "1m", "2m3s", "1h", "1h", "1d1h", "10d"]);
    }

    #[test]
    fn a_near_deadline_has_tenths_that_are_never_rounded_up() {
        let said = [0, 99, 2_890, 59_999, 60_000].map(|ms| precise(Duration::from_millis(ms)));
        assert_eq!(said, ["0.0s", "0.0s", "2.8s", "59.9s", "1m"]);
    }
}
