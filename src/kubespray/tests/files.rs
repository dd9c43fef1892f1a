//! Several files, inventories, and files that are none.

use super::{ARP, ARP_SETTINGS, changes, complaints, files, notices, settings, with};

#[test]
fn a_later_file_wins_and_every_value_knows_its_place() {
    let reading = files(&[
        ARP,
        "# more specific\nkube_vip_interface: eth0\nkube_vip_leaseduration: 15\n",
        "kube_vip_interface: eth1\n",
    ]);
    let sources: Vec<_> = reading
        .settings
        .iter()
        .filter(|setting| ["vip_interface", "vip_leaseduration", "vip_retryperiod"].contains(&setting.env))
        .map(|setting| format!("{}={} {}", setting.env, setting.text, setting.source))
        .collect();
    assert_eq!(
        sources,
        [
            "vip_interface=eth1 Kubespray 3.yml:kube_vip_interface",
            "vip_leaseduration=15 Kubespray 2.yml:kube_vip_leaseduration",
            "vip_retryperiod=1 Kubespray's default of kube_vip_retryperiod",
        ]
    );
}

#[test]
fn a_mapping_is_replaced_and_not_merged_as_in_ansible() {
    let reading = with("loadbalancer_apiserver: {address: 10.0.0.40}\nkube_apiserver_port: 6444");
    assert_eq!(complaints(&reading), Vec::<String>::new());
}

#[test]
fn the_groups_of_an_inventory_win_over_those_that_hold_them() {
    let inventory = "
all:
  hosts:
    cp1: {ansible_host: 192.0.2.1, ip: 192.0.2.1}
    cp2:
  vars:
    kube_vip_interface: eth0
    kube_vip_leaseduration: 10
  children:
    kube_control_plane:
      hosts: {cp1: , cp2: }
      vars: {kube_vip_interface: eth2}
    kube_node:
      hosts: {cp1: }
      vars: {kube_proxy_strict_arp: false}
    k8s_cluster:
      vars: {kube_vip_interface: eth1, kube_vip_retryperiod: 2}
      children: {kube_control_plane: , kube_node: }
";
    let own = |(env, text): (&str, &str)| (env.to_owned(), text.to_owned());
    let expected =
        [("vip_interface", "eth2"), ("vip_leaseduration", "10"), ("vip_retryperiod", "2")].map(own);
    assert_eq!(changes(inventory), (expected.to_vec(), vec![]));
}

#[test]
fn what_an_inventory_says_of_one_host_or_of_others_is_refused() {
    let inventory = "
all:
  children:
    kube_control_plane:
      hosts:
        cp1: {kube_vip_interface: eth0}
    racks:
      vars: {kube_vip_retryperiod: 2}
";
    assert_eq!(
        complaints(&with(inventory)),
        [
            "kube_vip_interface (2.yml line 6): set for the host cp1 alone; \
             write it to a file of its own and name that last, for cp1",
            "kube_vip_retryperiod (2.yml line 8): set for the group racks, which does not hold \
             kube_control_plane; set it for kube_control_plane, or for a group that holds it",
        ]
    );
}

#[test]
fn anchors_and_merge_keys_are_yaml() {
    let own = |(env, text): (&str, &str)| (env.to_owned(), text.to_owned());
    let anchored =
        "lan: &lan {nic: eth3}\nother: {<<: *lan, mtu: 9000}\nkube_vip_interface: '{{ other.nic }}'";
    assert_eq!(changes(anchored).0, [own(("vip_interface", "eth3"))]);
    let alias = "nic: &nic eth4\nkube_vip_interface: *nic";
    assert_eq!(changes(alias).0, [own(("vip_interface", "eth4"))]);
}

#[test]
fn what_ansible_vault_has_encrypted_is_refused_where_it_is_needed() {
    let vault = "!vault |\n  $ANSIBLE_VAULT;1.1;AES256\n  6162\n";
    let reading = with(&format!("kube_vip_interface: {vault}"));
    assert_eq!(
        complaints(&reading),
        ["kube_vip_interface (2.yml line 2): cannot be resolved: encrypted by ansible-vault; \
          write the value, or add the file that defines it"]
    );
    assert_eq!(complaints(&with(&format!("kube_vip_bgp_peerpass: {vault}"))), Vec::<String>::new());
    assert_eq!(complaints(&with(&format!("something: {vault}"))), Vec::<String>::new());
    assert_eq!(
        complaints(&with("$ANSIBLE_VAULT;1.1;AES256\n6162\n")),
        [
            "Kubespray file (2.yml line 1): encrypted by ansible-vault; give vipcast what ansible-vault view prints"
        ]
    );
}

#[test]
fn files_that_are_none_are_refused() {
    let fix = "name YAML files of variables, or a YAML inventory";
    for text in ["[all]\n", "- a\n", "text"] {
        assert_eq!(
            complaints(&with(text)),
            [format!("Kubespray file (2.yml line 1): not a mapping; {fix}")],
            "{text}"
        );
    }
    for text in ["a: [", "a: {{ b }}", "a: 1\na: 2", "a: 1\n---\nb: 2", "[all]\ncp1 ip=192.0.2.1\n"] {
        let complaints = complaints(&with(text));
        assert!(
            matches!(complaints.as_slice(), [one] if one.starts_with("Kubespray file (2.yml line")),
            "{text}: {complaints:?}"
        );
    }
    for nothing in ["", "---\n", "# nothing\n"] {
        assert_eq!(settings(&with(nothing)), ARP_SETTINGS, "{nothing}");
    }
}

#[test]
fn a_mistyped_variable_is_refused_and_one_of_ones_own_is_not() {
    let reading =
        with("kube_vip_adress: 192.0.2.1\nkube_vip_lease_duration: 15s\nkube_vip_pod_hostnetwork: true");
    assert_eq!(
        complaints(&reading),
        [
            "kube_vip_adress (2.yml line 1): unknown to Kubespray, did you mean kube_vip_address?",
            "kube_vip_lease_duration (2.yml line 2): unknown to Kubespray, did you mean kube_vip_leaseduration?",
        ]
    );
    assert_eq!(notices(&reading), ["kube_vip_pod_hostnetwork: unknown to Kubespray: ignored"]);
    let used = with("kube_vip_address: '{{ kube_vip_address_v4 }}'\nkube_vip_address_v4: 192.0.2.1");
    assert_eq!((complaints(&used), notices(&used)), (vec![], vec![]));
}

#[test]
fn a_file_that_cannot_be_read_is_named_in_the_operators_words_and_nothing_follows_from_it() {
    let fix = "name YAML files of variables, or a YAML inventory";
    let told = [
        ("a: 1\na: 2", 2, "duplicate mapping key: a not allowed here"),
        ("a: 1\n---\nb: 2", 3, "only single YAML document expected but multiple found"),
        ("a: 1\n~: 2", 2, "null is not allowed here"),
    ];
    for (text, line, reason) in told {
        let expected = [format!("Kubespray file (1.yml line {line}): {reason}; {fix}")];
        assert_eq!(complaints(&files(&[text])), expected, "{text}");
    }
}

#[test]
fn what_ansible_inventory_lists_is_refused_with_the_command_that_prints_variables() {
    let list =
        r#"{"_meta": {"hostvars": {"cp1": {"kube_vip_enabled": true}}}, "all": {"children": ["ungrouped"]}}"#;
    assert_eq!(
        complaints(&files(&[list])),
        ["Kubespray file (1.yml line 1): what ansible-inventory --list prints; \
          give vipcast what ansible-inventory --host NODE prints, in a file"]
    );
}
