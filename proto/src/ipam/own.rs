//! What our own description of a pool says.

use super::forbidden::never;
use super::pool::{PerNamespace, Pool, PoolId, SearchOrder, Selection, Source};
use super::problem::{Problem, Problems};
use super::range::{Range, RangeError};

/// A pool in our own schema. Each field is as in [`Pool`]; decoding is the caller's.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct PoolSpec {
    /// Its name, by which a Service can ask for it.
    pub name: String,
    /// Networks, ranges (first-last) and single addresses, of both families.
    pub addresses: Vec<String>,
    /// Addresses among these that are not to be given, in the same forms.
    pub avoid: Vec<String>,
    /// Which Services it serves; everything empty: all.
    pub selection: Selection,
    /// The lower, the earlier; `None` comes last.
    pub priority: Option<u32>,
    /// Only Services that ask for it are served.
    pub only_on_request: bool,
    /// IPv4 addresses that end in .0 or .255 are left out.
    pub avoid_buggy: bool,
    /// Which free address is given first.
    pub order: SearchOrder,
    /// Services without a sharing key share its IPv4 addresses.
    pub allow_share: bool,
    /// On which interface its addresses are to be announced.
    pub interface: Option<String>,
}

/// The pool; `None` where it has no usable address or no name. Where only some are wrong, the others are used.
#[must_use]
pub fn pool(spec: &PoolSpec) -> (Option<Pool>, Vec<Problem>) {
    let mut found = vec![];
    let key = format!("{}.addresses", spec.name);
    let addresses = ranges(&spec.addresses, &mut Problems { key: &key, found: &mut found });
    let key = format!("{}.avoid", spec.name);
    let avoid = |text: &str| parsed(text, FORMS);
    let avoided = read(&spec.avoid, avoid, &mut Problems { key: &key, found: &mut found });
    if spec.name.is_empty() {
        Problems { key: "name", found: &mut found }.error("", "a pool without a name", "give it one");
    }
    let left = avoided.into_iter().fold(addresses, |left, avoid| without(&left, avoid));
    let usable = !left.is_empty() && !spec.name.is_empty();
    (usable.then(|| described(spec, left)), found)
}

/// The ranges that are written well; the others are problems, and so are none at all.
pub(super) fn ranges(texts: &[String], problems: &mut Problems<'_>) -> Vec<Range> {
    let ranges = read(texts, |text| usable(text, FORMS), problems);
    if ranges.is_empty() {
        problems.error("", "no addresses", FORMS);
    }
    ranges
}

/// An entry of a pool that can be given; or what is wrong, and what to do. `forms` says how one is written.
pub(super) fn usable(text: &str, forms: &'static str) -> Result<Range, (String, &'static str)> {
    let range = parsed(text, forms)?;
    never(range).map_or(Ok(range), |reason| Err((reason, UNICAST)))
}

fn parsed(text: &str, forms: &'static str) -> Result<Range, (String, &'static str)> {
    text.parse().map_err(|error: RangeError| (error.to_string(), forms))
}

fn read(
    texts: &[String],
    parse: impl Fn(&str) -> Result<Range, (String, &'static str)>,
    problems: &mut Problems<'_>,
) -> Vec<Range> {
    let mut ranges = vec![];
    for text in texts {
        match parse(text) {
            Ok(range) => ranges.push(range),
            Err((reason, fix)) => problems.error(text, reason, fix),
        }
    }
    ranges
}

fn described(spec: &PoolSpec, ranges: Vec<Range>) -> Pool {
    Pool {
        selection: spec.selection.clone(),
        priority: spec.priority,
        auto_assign: !spec.only_on_request,
        avoid_buggy: spec.avoid_buggy,
        order: spec.order,
        allow_share: PerNamespace::global(spec.allow_share),
        interface: PerNamespace { global: spec.interface.clone(), ..PerNamespace::default() },
        ..Pool::new(PoolId { source: Source::Own, name: spec.name.as_str().into() }, ranges)
    }
}

fn without(ranges: &[Range], avoid: Range) -> Vec<Range> {
    ranges.iter().flat_map(|range| range.without(avoid)).collect()
}

const FORMS: &str = "write a network (192.0.2.0/24), a range (192.0.2.10-192.0.2.20) or an address";
const UNICAST: &str = "write only addresses that hosts of your network can have";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn avoided_addresses_are_cut_out_and_all_problems_told() {
        let texts = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
        let spec = PoolSpec {
            name: "lab".into(),
            addresses: texts(&["192.0.2.0/28", "2001:db8::/64", "x", "0.0.0.0/0", "169.254.7.7"]),
            avoid: texts(&["192.0.2.0", "192.0.2.4-192.0.2.6", "192.0.2.15/32", "y"]),
            ..PoolSpec::default()
        };
        let (pool, problems) = pool(&spec);
        assert_eq!(
            pool.unwrap().ranges.as_slice().iter().map(Range::to_string).collect::<Vec<_>>(),
            ["192.0.2.1-192.0.2.3", "192.0.2.7-192.0.2.14", "2001:db8::-2001:db8::ffff:ffff:ffff:ffff",]
        );
        assert_eq!(
            problems.iter().map(|it| (&*it.key, &*it.value)).collect::<Vec<_>>(),
            [
                ("lab.addresses", "x"),
                ("lab.addresses", "0.0.0.0/0"),
                ("lab.addresses", "169.254.7.7"),
                ("lab.avoid", "y")
            ]
        );
    }

    #[test]
    fn what_never_can_be_a_vip_is_no_part_of_a_pool_and_all_of_it_is_named() {
        let reason = |text: &str| usable(text, FORMS).map_err(|(reason, _)| reason);
        let cases = [
            ("0.0.0.0/32", "0.0.0.0/8 (this network)"),
            ("126.255.255.255-128.0.0.1", "127.0.0.0/8 (loopback)"),
            ("169.254.0.1", "169.254.0.0/16 (link-local)"),
            ("239.0.0.0/8", "224.0.0.0/4 (multicast)"),
            ("254.0.0.0/7", "255.255.255.255/32 (broadcast)"),
            ("::", "::/16 (unspecified, loopback and mapped IPv4)"),
            ("fe80::/64", "fe80::/10 (link-local)"),
            ("fe00::/7", "fe80::/10 (link-local), ff00::/8 (multicast)"),
        ];
        for (text, expected) in cases {
            let expected = format!("has addresses that never can be a VIP: {expected}");
            assert_eq!(reason(text), Err(expected), "{text}");
        }
        for text in ["192.0.2.0/24", "2001:db8::/64", "fd00::/8", "240.0.0.1"] {
            assert_eq!(reason(text), Ok(text.parse().unwrap()));
        }
    }
}
