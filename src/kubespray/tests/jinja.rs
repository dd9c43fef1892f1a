//! Expressions: the plain ones are resolved, the others named.

use super::{complaints, files, settings, with};

/// What `kube_vip_interface` comes to, or what is complained of.
fn interface(expression: &str, more: &str) -> Result<Option<String>, Vec<String>> {
    let reading = with(&format!("kube_vip_interface: \"{expression}\"\n{more}"));
    let found = settings(&reading).into_iter().find(|(env, _)| *env == "vip_interface");
    let found = found.map(|(_, text)| text.to_owned());
    if reading.problems.is_empty() { Ok(found) } else { Err(complaints(&reading)) }
}

#[test]
fn references_literals_and_plain_filters_are_resolved() {
    let more = "nic: eth1\nlan: {nic: eth2, list: [a]}\nnothing:\nempty: ''\nchain: '{{ lan.nic }}'\nvlan: 7";
    let table = [
        ("{{ nic }}", "eth1"),
        ("{{nic}}", "eth1"),
        ("{{ lan.nic }}", "eth2"),
        ("{{ lan['nic'] }}", "eth2"),
        ("{{ chain }}", "eth2"),
        ("{{ nic }}.{{ vlan }}", "eth1.7"),
        ("bond0.{{ vlan }}", "bond0.7"),
        ("{{ 'eth3' }}", "eth3"),
        ("{{ missing | default('eth4') }}", "eth4"),
        ("{{ missing | default(nic) }}", "eth1"),
        ("{{ lan.missing | d('eth5') }}", "eth5"),
        ("{{ empty | default('eth6', true) }}", "eth6"),
        ("{{ nic | upper | lower | trim | string }}", "eth1"),
        ("{{ kube_vip_svc_leasename }}", "plndr-svcs-lock"),
    ];
    for (expression, expected) in table {
        assert_eq!(interface(expression, more), Ok(Some(expected.to_owned())), "{expression}");
    }
    for unset in ["{{ nothing }}", "{{ empty }}", "{{ missing | default('') }}", "{{ none }}", ""] {
        assert_eq!(interface(unset, more), Ok(None), "{unset}");
    }
}

#[test]
fn what_cannot_be_resolved_is_refused_with_file_variable_and_expression() {
    let table = [
        (
            "{{ lookup('env', 'NIC') }}",
            "lookup('env', 'NIC')",
            "lookup('env', 'NIC') is more Jinja than vipcast understands",
        ),
        (
            "{{ ansible_default_ipv4.interface }}",
            "ansible_default_ipv4.interface",
            "only Ansible knows ansible_default_ipv4",
        ),
        ("{{ hostvars['cp1'].nic }}", "hostvars['cp1'].nic", "only Ansible knows hostvars"),
        ("{{ missing }}", "missing", "missing is not defined in the files"),
        (
            "{{ nic if lan else 'eth1' }}",
            "nic if lan else 'eth1'",
            "nic if lan else 'eth1' is more Jinja than vipcast understands",
        ),
        (
            "{{ nic | regex_replace('a', 'b') }}",
            "nic | regex_replace('a', 'b')",
            "vipcast does not know the filter regex_replace",
        ),
        ("{{ nic | bool }}", "nic | bool", "neither true nor false"),
        ("{{ nic", "{{ nic", "{{ without }}"),
        ("{{ 'nic }}", "'nic", "a quote is not closed"),
        (
            "{% if x %}eth0{% endif %}",
            "{% if x %}eth0{% endif %}",
            "{% is more Jinja than vipcast understands",
        ),
        ("{{ 1 + 1 }}", "1 + 1", "1 + 1 is more Jinja than vipcast understands"),
        ("{{ }}", "", " is more Jinja than vipcast understands"),
        ("a{{ lan }}", "lan", "a mapping in the middle of a text"),
    ];
    for (expression, named, reason) in table {
        let value = if named.is_empty() { String::new() } else { format!("={named}") };
        let expected = format!(
            "kube_vip_interface{value} (2.yml line 1): cannot be resolved: {reason}; \
             write the value, or add the file that defines it"
        );
        assert_eq!(interface(expression, "nic: eth1\nlan: {a: b}"), Err(vec![expected]), "{expression}");
    }
}

#[test]
fn the_variable_that_holds_the_expression_is_the_one_that_is_named() {
    let reading = with("kube_vip_address: '{{ site.vip }}'\nsite:\n  vip: '{{ query(''dns'') }}'\n");
    assert_eq!(
        complaints(&reading),
        ["site=query('dns') (2.yml line 3): cannot be resolved: query('dns') is more Jinja than vipcast \
          understands (needed by kube_vip_address); write the value, or add the file that defines it"]
    );
}

#[test]
fn a_default_of_kubesprays_may_refer_to_what_a_file_says() {
    let reading = files(&[super::ARP, "arp: 'no'\nkube_vip_arp_enabled: '{{ arp | bool }}'"]);
    assert_eq!(complaints(&reading), Vec::<String>::new());
    let found = settings(&reading);
    assert!(found.contains(&("vip_leaderelection", "false")), "{found:?}");
}

#[test]
fn circles_and_avalanches_end() {
    let circle = with("kube_vip_interface: '{{ a }}'\na: '{{ b }}'\nb: '{{ a }}'");
    assert_eq!(
        complaints(&circle),
        ["b=a (2.yml line 3): cannot be resolved: a refers to itself (needed by kube_vip_interface); \
          write the value, or add the file that defines it"]
    );
    let mut avalanche = "kube_vip_interface: '{{ v0 }}'\n".to_owned();
    for level in 0..40 {
        let next = level + 1;
        avalanche += &format!("v{level}: '{{{{ v{next} }}}}{{{{ v{next} }}}}'\n");
    }
    avalanche += "v40: ''\n";
    let complaints = complaints(&with(&avalanche));
    assert!(
        matches!(complaints.as_slice(), [one] if one.contains("it refers to too much")),
        "{complaints:?}"
    );
}

#[test]
fn any_text_at_all_is_an_expression_or_refused() {
    let pieces =
        ["{{", "}}", "{%", " ", "'", "\"", "|", "(", ")", "[", "]", ".", "a", "default", ",", "é", "0"];
    let mut random = fastrand::Rng::with_seed(7);
    for _ in 0..2_000 {
        let text: String = (0..12).map(|_| *random.choice(&pieces).unwrap()).collect();
        let quoted = serde_json::to_string(&text).unwrap();
        let reading = with(&format!("kube_vip_interface: {quoted}"));
        assert!(reading.problems.len() <= 1, "{text}: {reading:?}");
    }
}
