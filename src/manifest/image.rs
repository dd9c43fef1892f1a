//! The image: its default, and what a name without a tag means.

use crate::cli::version::VERSION;

/// Where releases are published.
pub const DEFAULT_REPOSITORY: &str = "ghcr.io/vipcast/vipcast";

/// An image with a tag or a digest as it is; a bare name with the version of this program, as kube-vip has it.
#[must_use]
pub fn complete(image: &str) -> String {
    let is_complete = image.contains('@') || tag(image).is_some();
    if is_complete { image.to_owned() } else { format!("{image}:{VERSION}") }
}

/// The tag, where it can be the value of a label.
pub(super) fn version(image: &str) -> Option<&str> {
    let alphanumeric_ends = |tag: &&str| {
        let ends = [tag.chars().next(), tag.chars().last()];
        ends.iter().all(|end| end.is_some_and(|end| end.is_ascii_alphanumeric()))
    };
    tag(image).filter(|tag| tag.len() <= LABEL_MAX).filter(alphanumeric_ends)
}

/// What follows the last colon of the last component: a colon before that belongs to a registry's port.
fn tag(image: &str) -> Option<&str> {
    let name = image.split('@').next().unwrap_or(image);
    let last = name.rsplit('/').next().unwrap_or(name);
    last.split_once(':').map(|(_, tag)| tag)
}

const LABEL_MAX: usize = 63;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_without_a_tag_gets_the_version_and_any_other_is_left_as_it_is() {
        let table = [
            ("vipcast", format!("vipcast:{VERSION}"), Some(VERSION)),
            ("localhost:5000/vipcast", format!("localhost:5000/vipcast:{VERSION}"), Some(VERSION)),
            ("localhost:5000/vipcast:v1", "localhost:5000/vipcast:v1".into(), Some("v1")),
            ("vipcast@sha256:00ff", "vipcast@sha256:00ff".into(), None),
            ("a/vipcast:1.2@sha256:00ff", "a/vipcast:1.2@sha256:00ff".into(), Some("1.2")),
            ("vipcast:_nightly", "vipcast:_nightly".into(), None),
        ];
        for (given, expected, label) in table {
            let completed = complete(given);
            assert_eq!((completed.as_str(), version(&completed)), (expected.as_str(), label));
        }
    }
}
