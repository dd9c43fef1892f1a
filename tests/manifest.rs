//! What `vipcast manifest` prints: as a program, as a real API server takes it, and whether the daemon can live with the
//! permissions that it says.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

#[path = "lab/bed.rs"]
#[allow(dead_code, reason = "the laboratory's tests use the rest")]
mod bed;
#[path = "lab/kernel.rs"]
#[allow(dead_code, clippy::wildcard_enum_match_arm, reason = "the laboratory's tests use the rest")]
mod kernel;
#[path = "lab/kubernetes.rs"]
#[allow(dead_code, reason = "the laboratory's tests use the rest")]
mod kubernetes;
#[path = "manifest/objects.rs"]
mod objects;
#[path = "manifest/permissions.rs"]
mod permissions;
#[path = "manifest/program.rs"]
mod program;
mod support;

use std::process::{Command, ExitCode, Output};

use axum::http::Request;
use serde_json::Value;

use support::{Needs, trial};

fn main() -> ExitCode {
    let lab = &[Needs::Root, Needs::RealApi, Needs::Program("nsenter")];
    support::run_at_most(
        2,
        vec![
            trial("program::what_is_refused_is_named_and_the_exit_code_is_2", &[], program::refusals),
            trial("program::the_environment_counts_as_it_does_for_the_daemon", &[], program::environment),
            trial("program::a_reader_that_has_gone_away_is_no_failure", &[], program::broken_pipe),
            trial("objects::every_object_is_accepted_strictly", &[Needs::RealApi], objects::accepted),
            trial("permissions::the_daemon_asks_for_what_it_may_and_for_all_of_it", lab, permissions::exact),
            trial("permissions::a_verb_that_is_missing_is_noticed", lab, permissions::missing),
            trial("permissions::a_spread_of_services_asks_for_what_it_may", lab, permissions::spread),
            trial("permissions::one_lease_for_services_asks_for_what_it_may", lab, permissions::lease),
            trial("permissions::services_without_a_control_plane_ask_for_less", lab, permissions::alone),
            trial("permissions::services_of_somebody_elses_pools_ask_for_less", lab, permissions::foreign),
            trial(
                "permissions::what_services_lack_is_said_once_and_stops_nothing_else",
                lab,
                permissions::lacking,
            ),
        ],
    )
}

/// `vipcast manifest` with these words and no environment.
fn manifest(line: &str) -> Output {
    let mut command = Command::new(bed::VIPCAST);
    command.arg("manifest").args(line.split_whitespace()).env_clear();
    command.output().unwrap()
}

/// The documents that it prints.
fn documents(line: &str) -> Vec<String> {
    let output = manifest(line);
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "vipcast manifest {line}: {errors}");
    String::from_utf8(output.stdout).unwrap().split("---\n").map(str::to_owned).collect()
}

/// Sends an object, and what the server makes of it.
async fn create(client: &kube::Client, path: &str, kind: &str, body: String) -> kube::Result<Value> {
    let request = Request::post(format!("{path}?fieldValidation=Strict")).header("content-type", kind);
    client.request(request.body(body.into_bytes()).unwrap()).await
}

/// Where objects like this one are created.
fn collection(object: &Value) -> String {
    let word = |pointer: &str| object.pointer(pointer).and_then(Value::as_str);
    let version = word("/apiVersion").unwrap();
    let root = if version == "v1" { "/api/v1".to_owned() } else { format!("/apis/{version}") };
    let plural = format!("{}s", word("/kind").unwrap().to_lowercase());
    match word("/metadata/namespace") {
        Some(namespace) => format!("{root}/namespaces/{namespace}/{plural}"),
        None => format!("{root}/{plural}"),
    }
}

const YAML: &str = "application/yaml";
const JSON: &str = "application/json";
/// As Cluster API's `preKubeadmCommands` give it.
const LINE: &str = "--interface eth0 --address 192.168.1.100 --controlplane --arp --leaderElection";
