//! Any text as peers in kube-vip's grammar, as AS numbers, as our file, as a Node's annotations: a configuration, or words
//! that say what is wrong; and a password is in none of them.
#![no_main]

use std::collections::BTreeMap;

use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use vipcast::config::{Flags, HostFacts, Resolved, resolve};

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    peers: &'a str,
    asn: Option<&'a str>,
    router_id: Option<&'a str>,
    /// In a grammar of ours, behind what every configuration needs.
    file: Option<&'a str>,
    /// Our own, and any name.
    annotations: Vec<(Key<'a>, &'a str)>,
}

#[derive(Arbitrary, Debug)]
enum Key<'a> {
    Known { number: Option<u16>, key: u8 },
    Any(&'a str),
}

fuzz_target!(|input: Input<'_>| {
    let Some(resolved) = configure(&input) else { return };
    let Some(bgp) = resolved.config.bgp else { return };
    let asked = bgp.node_annotations.as_ref().expect("a prefix is given");
    let annotations: BTreeMap<String, String> =
        input.annotations.iter().map(|(key, text)| (key.name(), (*text).to_owned())).collect();
    match asked.read(&annotations) {
        Ok(node) => {
            let merged = bgp.with_node(&node);
            assert!(merged.peers.len() <= bgp.peers.len() + node.peers.len());
            assert_eq!(merged.with_node(&node), merged, "said twice is said once");
        }
        Err(problems) => assert!(problems.iter().all(|problem| !problem.to_string().is_empty())),
    }
});

fn configure(input: &Input<'_>) -> Option<Resolved> {
    let with_password = format!("192.0.2.77:65077:{PASSWORD}:false,{}", input.peers);
    let said = [("address", Some("192.0.2.10")), ("cp_enable", Some("true")), ("bgp_enable", Some("true"))];
    let fuzzed = [("bgp_as", input.asn), ("bgp_routerid", input.router_id), ("bgp_peers", Some(&*with_password))];
    let all = said.into_iter().chain(fuzzed).chain([("annotation", Some("bgp.example.org"))]);
    let env = all.filter_map(|(name, text)| Some((name.to_owned(), text?.to_owned())));
    let file = input.file.map(|text| ("vipcast.yaml".to_owned(), format!("bgp:\n  {text}")));
    let host = HostFacts { hostname: "node1".into(), service_account_namespace: None };
    match resolve(&Flags::default(), env, file, &host) {
        Ok(resolved) => {
            let shown = resolved.sources.iter().filter_map(|one| one.value.as_deref());
            assert!(shown.chain([&*format!("{:?}", resolved.config)]).all(|text| !text.contains(PASSWORD)));
            Some(resolved)
        }
        Err(problems) => {
            let words = problems.to_string();
            assert!(!words.is_empty() && !words.contains(PASSWORD), "{words}");
            None
        }
    }
}

impl Key<'_> {
    fn name(&self) -> String {
        let key = match self {
            Self::Known { number, key } => {
                let key = KEYS[usize::from(*key) % KEYS.len()];
                number.map_or_else(|| key.to_owned(), |number| format!("bgp-peers-{number}-{key}"))
            }
            Self::Any(text) => (*text).to_owned(),
        };
        format!("bgp.example.org/{key}")
    }
}

/// No input has it by chance.
const PASSWORD: &str = "correct-horse-battery";
const KEYS: [&str; 6] = ["node-asn", "src-ip", "peer-asn", "peer-ip", "bgp-pass", "peer-multi-hop"];
