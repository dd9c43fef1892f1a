//! The command against a daemon that is well, ill, or not there.

use std::path::Path;

use super::*;
use crate::admin::fixture;
use crate::admin::listen::serve_unix;
use crate::admin::services::ServicesSummary;
use crate::admin::socket::AdminSocket;
use crate::admin::status::LinkState;
use crate::task::Tasks;

fn args(socket: &Path, output: Output) -> StatusArgs {
    StatusArgs { output, socket: socket.to_owned(), watch: false }
}

async fn shown(socket: &Path, output: Output) -> (Verdict, String, String) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let verdict = show(&args(socket, output), &mut out, &mut err).await;
    (verdict, String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
}

#[test]
fn the_table_has_one_line_per_vip() {
    let expected = "\
cp1: vipcast 0.1.0, ready, up 2m3s

VIP          STATE  HOLDER  SINCE  UNTIL  INTERFACE  WHY
10.0.0.1/32  held   cp1     2m3s   2.0s   eth0       announced
";
    assert_eq!(table::short(&fixture::status()), expected);
}

#[test]
fn services_have_a_part_of_their_own_with_and_without_vips() {
    let mut status = fixture::status();
    let summary = ServicesSummary {
        distribution: "spread".into(),
        role: "member".into(),
        services: 12,
        waiting: 1,
        addresses: 13,
        announced: 5,
        allocates: true,
        allocator: Some("cp2".into()),
        notes: vec![],
    };
    let part = "\
Services: 12, 1 without an address
  addresses announced here: 5 of 13 (spread, member)
  addresses are given by: cp2
";
    status.services = Some(summary.clone());
    assert!(status.problems().is_empty(), "what Services lack is for vipcast services to judge");
    let with = table::short(&status);
    assert!(with.ends_with(&format!("eth0       announced\n\n{part}")), "{with}");
    let wide = table::wide(&status);
    assert!(wide.contains(&format!("  announced\n\n{part}\nPART ")), "{wide}");
    status.vips.clear();
    assert_eq!(table::short(&status), format!("cp1: vipcast 0.1.0, ready, up 2m3s\n\n{part}"));
    let wide = table::wide(&status);
    assert!(wide.starts_with(&format!("cp1: vipcast 0.1.0, ready, up 2m3s\n\n{part}\nPART ")), "{wide}");
    let notes = vec!["this node announces nothing".to_owned()];
    let idle = ServicesSummary { waiting: 0, allocates: false, allocator: None, notes, ..summary };
    status.services_silent = true;
    assert_eq!(status.problems(), ["Services: whoever looks after them does not answer"]);
    status.services_silent = false;
    status.services = Some(idle);
    let part = "\
Services: 12
  addresses announced here: 5 of 13 (spread, member)
  addresses are given by: somebody else (services.allocate: false)
  note: this node announces nothing
";
    assert_eq!(table::short(&status), format!("cp1: vipcast 0.1.0, ready, up 2m3s\n\n{part}"));
}

#[test]
fn the_wide_table_says_everything_and_ends_with_what_needs_attention() {
    let mut status = fixture::status();
    status.links[0].state = LinkState::Down;
    let expected = "\
cp1: vipcast 0.1.0, ready, up 2m3s

VIP          STATE  HOLDER  SINCE  UNTIL  INTERFACE  SCOPE          LEASE                      RIVAL  WHY
10.0.0.1/32  held   cp1     2m3s   2.0s   eth0       control-plane  kube-system/plndr-cp-lock  -      announced

PART                               STATE      SINCE  WHY
lease kube-system/plndr-cp-lock    holding    2m3s   renewed on time
api server health                  healthy    2m3s   /readyz answers 200
kubernetes https://127.0.0.1:6443  connected  2m3s   /etc/kubernetes/admin.conf
link eth0                          down       2m3s   02:00:00:00:00:01

! link eth0 is down
";
    assert_eq!(table::wide(&status), expected);
}

#[test]
fn yaml_and_json_say_the_same() {
    let status = fixture::status();
    let yaml: serde_json::Value = serde_saphyr::from_str(&render(Output::Yaml, &status)).unwrap();
    let json: serde_json::Value = serde_json::from_str(&render(Output::Json, &status)).unwrap();
    assert_eq!(yaml, json);
}

#[tokio::test]
async fn the_verdict_follows_the_daemon() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("admin.sock");
    let (admin, board, _beat) = fixture::admin();
    let mut tasks = Tasks::default();
    let served = path.clone();
    tasks.spawn("status", serve_unix(served, admin.private()));
    while !path.exists() {
        tokio::task::yield_now().await;
    }
    let (verdict, json, err) = shown(&path, Output::Json).await;
    assert_eq!((verdict, err.as_str()), (Verdict::Fine, ""));
    assert_eq!(serde_json::from_str::<Status>(&json).unwrap().node, "cp1");
    board.link("eth0", LinkState::Missing, None);
    let (verdict, table, err) = shown(&path, Output::Table).await;
    assert_eq!((verdict, err.as_str()), (Verdict::Degraded, ""));
    assert!(table.ends_with("\n! link eth0 does not exist\n"), "{table}");
}

#[tokio::test]
async fn a_daemon_that_does_not_answer_is_explained() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("admin.sock");
    let (verdict, out, err) = shown(&path, Output::Table).await;
    assert_eq!((verdict, out.as_str()), (Verdict::Unreachable, ""));
    assert!(err.starts_with(&format!("vipcast status: no socket at {}: ", path.display())), "{err}");

    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let (verdict, _, err) = shown(&path, Output::Table).await;
    assert_eq!(verdict, Verdict::Unreachable);
    assert!(err.starts_with(&format!("vipcast status: nobody answers on {}: ", path.display())), "{err}");
}

#[tokio::test(start_paused = true)]
async fn a_frozen_daemon_is_given_three_seconds() {
    let dir = tempfile::tempdir().unwrap();
    let socket = AdminSocket::bind(&dir.path().join("admin.sock")).await.unwrap();
    let begun = clock::now();
    let (verdict, _, err) = shown(socket.path(), Output::Table).await;
    assert_eq!((verdict, (clock::now() - begun).as_secs()), (Verdict::Unreachable, 3));
    assert!(err.contains("no answer on"), "{err}");
}

#[test]
fn verdicts_have_the_exit_codes_of_the_help() {
    let codes = [Verdict::Fine, Verdict::Unreachable, Verdict::Degraded].map(ExitCode::from);
    assert_eq!(format!("{codes:?}"), format!("{:?}", [0, 1, 3].map(ExitCode::from)));
}

#[test]
fn the_help_names_the_exit_codes() {
    let mut command = StatusArgs::augment_args(clap::Command::new("status"));
    command.clone().debug_assert();
    let help = command.render_help().to_string();
    assert!(help.ends_with(&format!("{EXIT_CODES}\n")), "{help}");
}
