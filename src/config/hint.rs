//! The known name that is nearest to a mistyped one.

/// The nearest of `known`, if it is near enough to be what was meant.
pub(crate) fn nearest<'a>(typed: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    if typed.len() > LONGEST {
        return None;
    }
    let allowed = (typed.chars().count() / 4).clamp(1, 4);
    let near = known.map(|name| (distance(&typed.to_lowercase(), &name.to_lowercase()), name));
    near.filter(|(distance, _)| *distance <= allowed).min().map(|(_, name)| name)
}

/// `unknown, did you mean …?`
pub(super) fn unknown<'a>(typed: &str, known: impl Iterator<Item = &'a str>) -> String {
    match nearest(typed, known) {
        Some(name) => format!("unknown, did you mean {name}?"),
        None => "unknown".to_owned(),
    }
}

/// Levenshtein's, on characters.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut next = vec![i + 1];
        for ((to, above), diagonal) in b.iter().zip(row.iter().skip(1)).zip(row.iter()) {
            let left = next.last().copied().unwrap_or(i + 1);
            next.push((diagonal + usize::from(from != *to)).min(above + 1).min(left + 1));
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}

/// No name of ours is half as long; the distance is quadratic in it.
const LONGEST: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_distance_counts_insertions_removals_and_replacements() {
        let pairs =
            [("", "abc", 3), ("vip_adress", "vip_address", 1), ("kitten", "sitting", 3), ("same", "same", 0)];
        for (a, b, expected) in pairs {
            assert_eq!((distance(a, b), distance(b, a)), (expected, expected), "{a} {b}");
        }
    }

    #[test]
    fn a_name_that_resembles_nothing_gets_no_hint() {
        assert_eq!(nearest("vip_frobnicate", ["vip_address", "vip_arp"].into_iter()), None);
        assert_eq!(nearest(&"x".repeat(100_000), ["x"].into_iter()), None);
    }
}
