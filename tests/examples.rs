//! The folders of `examples`: what their READMEs say is run as it stands there, and the Ansible role by real Ansible.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

#[path = "examples/migration.rs"]
mod migration;
#[path = "examples/readmes.rs"]
mod readmes;
#[path = "examples/role.rs"]
mod role;
mod support;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Output};

use self::support::{Needs, trial};

fn main() -> ExitCode {
    let ansible = &[Needs::Ansible];
    support::run_at_most(
        2,
        vec![
            trial("readmes::every_folder_has_one_that_is_run", &[], readmes::complete),
            trial("readmes::kubeadm_runs_as_it_stands", &[], || readmes::run("kubeadm", &[])),
            trial("readmes::kubeadm_bgp_runs_as_it_stands", &[], || readmes::run("kubeadm-bgp", &[])),
            trial("readmes::homelab_arp_runs_as_it_stands", &[], || readmes::run("homelab-arp", &[])),
            trial("readmes::cluster_api_runs_as_it_stands", &[], || readmes::run("cluster-api", &[])),
            trial("readmes::kubespray_runs_as_it_stands", ansible, readmes::kubespray),
            trial("readmes::the_command_of_cluster_api_is_the_guides", &[], readmes::cluster_api),
            trial("readmes::a_command_that_fails_fails_the_test", &[], readmes::failing),
            trial("role::what_it_writes_is_what_the_program_prints", ansible, role::same_as_the_program),
            trial("role::what_it_writes_configures_the_daemon_as_the_files_do", ansible, role::effective),
            trial("role::an_image_by_its_digest_has_the_version_of_its_tag", ansible, role::digest),
            trial("role::what_kubespray_has_no_variable_for_is_passed_on", ansible, role::more_settings),
            trial("role::text_from_the_command_line_is_no_trap", ansible, role::booleans),
            trial("role::switched_off_it_takes_everything_away", ansible, role::removal),
            trial(
                "migration::kube_vips_manifest_makes_room_for_a_pod_that_is_ready",
                ansible,
                migration::ready,
            ),
            trial("migration::a_pod_that_does_not_become_ready_ends_the_play", ansible, migration::not_ready),
            trial("migration::a_kube_vip_that_still_runs_is_waited_for", ansible, migration::still_there),
            trial("role::what_is_wrong_is_refused_before_anything_is_written", ansible, role::refusals),
            trial("role::bgp_becomes_what_kubesprays_template_makes_of_it", ansible, role::bgp),
        ],
    )
}

/// A folder of the examples.
fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name)
}

/// A copy of it in a folder that ends with the test.
fn copied(name: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    support::readme::copy(&example(name), folder.path());
    folder
}

/// A program with ours in its path, and nothing else from our environment.
fn command(program: &str, folder: &Path, programs: &[PathBuf]) -> Command {
    let own = Path::new(env!("CARGO_BIN_EXE_vipcast")).parent().unwrap().to_owned();
    let system = ["/usr/local/bin", "/usr/bin", "/bin", "/usr/sbin", "/sbin"].map(PathBuf::from);
    let path = std::env::join_paths([own].iter().chain(programs).chain(&system)).unwrap();
    let mut command = Command::new(program);
    command.current_dir(folder).env_clear().env("PATH", path).env("LC_ALL", "C.UTF-8");
    // Ansible keeps what it needs below the home folder.
    command.env("HOME", folder).env("ANSIBLE_NOCOLOR", "1").env("ANSIBLE_RETRY_FILES_ENABLED", "0");
    command
}

/// Standard output and standard error.
fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}
