//! What is printed and what is published.

use std::fs;
use std::path::Path;

use super::super::{Flags, print, resolve};
use super::{MINIMUM, file, host, pairs};

#[test]
fn the_published_schema_is_up_to_date() {
    assert_published("docs/config.schema.json", &print::schema(), "cargo run -- config --schema");
}

#[test]
fn the_published_documentation_is_up_to_date() {
    assert_published("docs/configuration.md", &print::markdown(), "cargo run -- config --markdown");
}

#[test]
fn the_example_file_is_a_configuration() {
    let text = fs::read_to_string(root().join("examples/config.yaml")).unwrap();
    let resolved = file(&text).unwrap();
    assert_eq!((resolved.config.control_plane.unwrap().vips.len(), resolved.notices), (2, vec![]));
}

#[test]
fn the_example_file_for_bgp_is_a_configuration() {
    let text = fs::read_to_string(root().join("examples/bgp.yaml")).unwrap();
    let resolved = file(&text).unwrap();
    let bgp = resolved.config.bgp.unwrap();
    assert_eq!((bgp.peers.len(), bgp.address_groups.len(), resolved.notices), (2, 2, vec![]));
}

#[test]
fn the_example_file_for_services_is_a_configuration() {
    let text = fs::read_to_string(root().join("examples/services.yaml")).unwrap();
    let resolved = file(&text).unwrap();
    assert_eq!((resolved.config.services.unwrap().pools.len(), resolved.notices), (3, vec![]));
}

#[test]
fn the_examples_in_the_page_about_services_are_configurations() {
    let page = fs::read_to_string(root().join("docs/services.md")).unwrap();
    let examples: Vec<_> =
        page.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    let pools = examples.iter().map(|text| file(text).unwrap().config.services.unwrap().pools.len());
    assert_eq!(pools.collect::<Vec<_>>(), [3]);
}

#[test]
fn the_example_in_the_documentation_is_a_configuration() {
    let page = fs::read_to_string(root().join("docs/configuration.md")).unwrap();
    let example = page.split("```yaml\n").nth(1).unwrap().split("```").next().unwrap();
    let text = format!("controlPlane: {{enabled: true, address: 192.0.2.10}}\n{example}");
    assert_eq!(file(&text).unwrap().config.bgp.unwrap().peers.len(), 3);
}

#[test]
fn the_schema_describes_every_field_of_the_lists() {
    let schema: serde_json::Value = serde_json::from_str(&print::schema()).unwrap();
    let bgp = &schema["properties"]["bgp"]["properties"];
    let peer = &bgp["peers"]["items"]["properties"];
    assert_eq!(peer["bfd"]["properties"]["multiplier"]["maximum"], 255);
    assert_eq!(peer["port"]["default"], 179);
    assert_eq!(bgp["peers"]["items"]["additionalProperties"], false);
    assert!(bgp["addressGroups"]["items"]["properties"]["nextHop"]["properties"]["ipv6"].is_object());
}

#[test]
fn a_kubeconfig_in_its_place_is_told_apart() {
    let text = "apiVersion: v1\nkind: Config\nclusters: []\nusers: []\n";
    let problems: Vec<_> = file(text).unwrap_err().problems.iter().map(ToString::to_string).collect();
    assert_eq!(
        problems,
        ["configuration file (vipcast.yaml line 1): a kubeconfig; name it with --k8sConfigPath"]
    );
}

#[test]
fn the_effective_configuration_as_yaml_says_the_same() {
    let flags =
        Flags(pairs(&[("leaseName", "ns/lock"), ("layer2-refresh", "2500ms"), ("prometheusHTTPServer", "")]));
    let resolved = resolve(&flags, pairs(&MINIMUM).into_iter(), None, &host()).unwrap();
    assert_eq!(file(&print::yaml(&resolved.sources)).unwrap().config, resolved.config);
}

#[test]
fn the_effective_configuration_names_every_source() {
    let env = pairs(&MINIMUM).into_iter().chain(pairs(&[("vip_arpRate", "3000")]));
    let resolved = resolve(&Flags(pairs(&[("port", "8443")])), env, None, &host()).unwrap();
    let table = print::table(&resolved.sources);
    let rows: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
    for row in [
        vec!["SETTING", "VALUE", "SOURCE"],
        vec!["controlPlane.port", "8443", "flag", "--port"],
        vec!["layer2.refresh", "3s", "environment", "vip_arpRate"],
        vec!["election.retryPeriod", "2s", "default"],
        vec!["node.name", "cp1", "derived:", "the", "hostname"],
    ] {
        assert!(rows.contains(&row), "{row:?} in\n{table}");
    }
    let json: serde_json::Value = serde_json::from_str(&print::json(&resolved.sources)).unwrap();
    assert_eq!(json["controlPlane.port"], serde_json::json!({ "value": 8443, "source": "flag --port" }));
    assert_eq!(json["layer2.interface"]["value"], serde_json::Value::Null);
}

fn assert_published(path: &str, current: &str, command: &str) {
    let published = fs::read_to_string(root().join(path)).unwrap_or_default();
    assert!(published == current, "{path} is out of date; run: {command} > {path}");
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
