//! Status, metrics and the server as an operator meets them.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::net::{TcpListener, TcpStream, UnixStream};

use super::board::{KubernetesFact, ScopeFact, StatusBoard};
use super::client::get;
use super::fixture::{admin, held, holding, status};
use super::listen::{Connections, serve_tcp, serve_unix};
use super::metrics::{Check, Kind, Metrics, Operation, Outcome, Transition};
use super::status::{NO_LEASE, ScopeState, Status, VipState};
use crate::clock;
use crate::task::Tasks;

#[test]
fn the_status_is_written_as_documented_and_reads_back() {
    let json = serde_json::to_value(status()).unwrap();
    let since = "2026-11-21T01:47:40.120Z";
    let until = "2026-11-21T01:49:45.120Z";
    let expected = serde_json::json!({
        "version": "0.1.0", "node": "cp1", "pid": 42, "since": since, "now": "2026-11-21T01:49:43.120Z",
        "ready": true, "readyWhy": "10.0.0.1 is held here",
        "scopes": [{
            "scope": "control-plane", "lease": "kube-system/plndr-cp-lock", "state": "holding", "holder": "cp1",
            "since": since, "until": until, "remainingMilliseconds": 2000, "why": "renewed on time"
        }],
        "vips": [{
            "address": "10.0.0.1", "prefixLength": 32, "interface": "eth0", "scope": "control-plane",
            "state": "held", "since": since, "until": until, "remainingMilliseconds": 2000,
            "rival": null, "why": "announced"
        }],
        "health": {"verdict": "healthy", "reason": "/readyz answers 200", "since": since},
        "kubernetes": {
            "endpoint": "https://127.0.0.1:6443", "source": "/etc/kubernetes/admin.conf",
            "connected": true, "condition": "connected", "since": since
        },
        "links": [{"interface": "eth0", "state": "up", "mac": "02:00:00:00:00:01", "since": since}],
        "bgp": null
    });
    assert_eq!(json, expected);
    let mut of_before = json.clone();
    of_before.as_object_mut().unwrap().remove("bgp");
    let read = [json, of_before].map(|json| serde_json::from_value::<Status>(json).unwrap());
    assert_eq!(read, [status(), status()]);
}

#[test]
fn since_stands_still_while_the_state_does_and_a_vip_not_named_is_forgotten() {
    let now = clock::now();
    let (board, reader) = holding(now);
    let since = |reader: &super::board::StatusReader| reader.status().vips.first().map(|vip| vip.since);
    let first = since(&reader);
    std::thread::sleep(Duration::from_millis(5));
    board.vip("10.0.0.1".parse().unwrap(), held(None));
    assert_eq!(since(&reader), first);
    let absent = super::board::VipFact { state: VipState::Absent, ..held(None) };
    board.vip("10.0.0.1".parse().unwrap(), absent);
    assert!(since(&reader) > first);
}

#[test]
fn readiness_says_what_it_waits_for() {
    let (board, reader) = StatusBoard::new("0.1.0", "cp1");
    let mut said = vec![reader.ready()];
    let connected = |connected, condition: &str| KubernetesFact {
        endpoint: None,
        source: None,
        connected,
        condition: condition.into(),
    };
    board.kubernetes(connected(true, "connected"));
    let scope = |state| ScopeFact {
        lease: "kube-system/plndr-cp-lock".into(),
        state,
        holder: Some("cp2".into()),
        until: None,
        why: "403".into(),
    };
    board.scope("control-plane", scope(ScopeState::Bootstrapping));
    said.push(reader.ready());
    board.scope("control-plane", scope(ScopeState::Standby));
    board.kubernetes(connected(false, "connection refused"));
    said.push(reader.ready());
    board.leaving();
    said.push(reader.ready());
    assert_eq!(
        said,
        [
            Err("no API server has answered yet: starting".into()),
            Err("lease kube-system/plndr-cp-lock has not been seen yet: 403".into()),
            Ok("the lease is being watched".into()),
            Err("shutting down".into()),
        ]
    );
    assert_eq!(reader.status().problems(), ["not ready: shutting down", "kubernetes: connection refused"]);
}

#[test]
fn with_services_a_node_is_ready_once_it_could_announce_them_and_then_for_good() {
    let mut said = vec![];
    // Where a VIP is held, and where there is nothing but Services.
    for (board, reader) in [holding(clock::now()), StatusBoard::new("0.1.0", "n1")] {
        for lack in [Some("nothing is listed"), None, Some("the API server is away")] {
            board.services(lack.map(str::to_owned));
            said.push(reader.ready());
        }
        board.kubernetes(KubernetesFact {
            endpoint: None,
            source: None,
            connected: true,
            condition: String::new(),
        });
        said.push(reader.ready());
    }
    let held = || Ok("10.0.0.1 is held here".to_owned());
    let no_server = || Err("no API server has answered yet: starting".to_owned());
    let lacking = Err("Services cannot be announced yet: nothing is listed".to_owned());
    let known = Ok("Services are known".to_owned());
    assert_eq!(said, [lacking, held(), held(), held(), no_server(), no_server(), no_server(), known]);
}

#[test]
fn who_may_not_announce_is_said_with_and_without_an_election() {
    let (board, reader) = StatusBoard::new("0.1.0", "cp1");
    let problem = |lease: &str| {
        let state = ScopeState::Ineligible;
        let why = "the local API server is not healthy".to_owned();
        board
            .scope("control-plane", ScopeFact { lease: lease.into(), state, holder: None, until: None, why });
        reader.status().problems().pop().unwrap()
    };
    assert_eq!(
        [problem("kube-system/plndr-cp-lock"), problem(NO_LEASE)],
        [
            "control-plane is out of the election: the local API server is not healthy",
            "control-plane is not announced by this node: the local API server is not healthy",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn metrics_are_named_as_documented_and_labels_are_escaped() {
    let (_board, reader) = holding(clock::now());
    let metrics = Metrics::new("0.1.0", Some("a\"b\\c\nd"), reader);
    let vip = "10.0.0.1".parse().unwrap();
    metrics.declare_vip(vip);
    metrics.announced(vip, Kind::Arp);
    metrics.wire_checked(vip, Check::Free);
    metrics.lease_transition("control-plane", "kube-system/plndr-cp-lock", Transition::Acquired);
    metrics.lease_request(Operation::Renew, Outcome::Ok, Duration::from_millis(3));
    let text = metrics.render();
    let ours =
        |line: &&str| !line.starts_with('#') && !line.starts_with("process_") && !line.contains("_bucket");
    let mut samples: Vec<_> = text.lines().filter(ours).collect();
    samples.sort_unstable();
    let labels = r#"{scope="control-plane",lease="kube-system/plndr-cp-lock"}"#;
    let mut expected = vec![
        r#"kube_vip_is_leader{node="cp1",lease_name="plndr-cp-lock"} 1.0"#.to_owned(),
        r#"vipcast_address_conflicts_total{vip="10.0.0.1"} 0"#.to_owned(),
        r#"vipcast_announcements_total{vip="10.0.0.1",kind="arp"} 1"#.to_owned(),
        "vipcast_api_server_healthy 1.0".to_owned(),
        r#"vipcast_build_info{version="0.1.0",revision="a\"b\\c\nd"} 1"#.to_owned(),
        "vipcast_events_dropped_total 0".to_owned(),
        "vipcast_frames_rejected_total 0".to_owned(),
        "vipcast_health_probe_failures_total 0".to_owned(),
        "vipcast_kubernetes_connected 1.0".to_owned(),
        format!("vipcast_lease_grant_remaining_seconds{labels} 2.0"),
        format!("vipcast_lease_holder{labels} 1.0"),
        r#"vipcast_lease_request_duration_seconds_count{operation="renew",outcome="ok"} 1"#.to_owned(),
        r#"vipcast_lease_request_duration_seconds_sum{operation="renew",outcome="ok"} 0.003"#.to_owned(),
        r#"vipcast_lease_transitions_total{scope="control-plane",lease="kube-system/plndr-cp-lock",transition="acquired"} 1"#.to_owned(),
        "vipcast_ready 1.0".to_owned(),
        r#"vipcast_vip_held{vip="10.0.0.1",interface="eth0"} 1.0"#.to_owned(),
        r#"vipcast_wire_checks_total{vip="10.0.0.1",result="free"} 1"#.to_owned(),
        r#"vipcast_wire_checks_total{vip="10.0.0.1",result="taken"} 0"#.to_owned(),
    ];
    expected.sort_unstable();
    assert_eq!(samples, expected);
    let process: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("# TYPE process_")).collect();
    assert_eq!(
        process,
        [
            "start_time_seconds gauge",
            "resident_memory_bytes gauge",
            "virtual_memory_bytes gauge",
            "open_fds gauge",
            "max_fds gauge",
            "cpu_seconds counter"
        ]
    );
    assert!(text.ends_with("# EOF\n"));
}

/// A client's end of a connection that is being served.
fn connect(connections: &mut Connections, router: &Router) -> DuplexStream {
    let (client, server) = duplex(64 * 1024);
    connections.admit(server, router.clone());
    client
}

#[tokio::test(start_paused = true)]
async fn livez_turns_red_when_the_heartbeat_stops() {
    let (admin, _board, beat) = admin();
    let (router, mut connections) = (admin.public(), Connections::default());
    let mut asked = Vec::new();
    for (wait, beats) in [(10, false), (1, false), (0, true)] {
        tokio::time::advance(Duration::from_secs(wait)).await;
        if beats {
            beat.send_replace(clock::now());
        }
        let (code, body) = get(connect(&mut connections, &router), "/livez").await.unwrap();
        asked.push((code.as_u16(), String::from_utf8(body.to_vec()).unwrap()));
    }
    let red = "no progress for 11.0 s, limit 10 s\n".to_owned();
    assert_eq!(asked, [(200, "ok\n".into()), (500, red), (200, "ok\n".into())]);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_never_ends_its_request_is_cut_off_and_delays_nobody() {
    let (admin, _board, _beat) = admin();
    let (router, mut connections) = (admin.public(), Connections::default());
    let begun = clock::now();
    let mut slow = connect(&mut connections, &router);
    slow.write_all(b"GET /metrics HTTP/1.1\r\nX-Slow: ").await.unwrap();
    let (code, _) = get(connect(&mut connections, &router), "/readyz").await.unwrap();
    assert_eq!((code, clock::now() - begun), (StatusCode::OK, Duration::ZERO));
    let mut rest = Vec::new();
    slow.read_to_end(&mut rest).await.unwrap();
    assert_eq!((clock::now() - begun).as_secs(), 5);
}

#[tokio::test(start_paused = true)]
async fn of_a_thousand_connections_the_newest_sixty_four_live() {
    let (admin, _board, _beat) = admin();
    let (router, mut connections) = (admin.public(), Connections::default());
    let mut clients = Vec::new();
    for _ in 0..1000 {
        clients.push(connect(&mut connections, &router));
        tokio::task::yield_now().await;
    }
    let mut open = Vec::new();
    for (at, client) in clients.iter_mut().enumerate() {
        let asked = client.write_all(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n").await;
        let mut answer = [0; 12];
        if asked.is_ok() && client.read_exact(&mut answer).await.is_ok() {
            assert_eq!(&answer, b"HTTP/1.1 200");
            open.push(at);
        }
    }
    assert_eq!(open, (936..1000).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_port_that_is_taken_is_served_once_it_is_free() {
    let squatter = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address: SocketAddr = squatter.local_addr().unwrap();
    let (admin, _board, _beat) = admin();
    let mut tasks = Tasks::default();
    tasks.spawn("http", serve_tcp(address, admin.public()));
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(tasks.running(), ["http"]);
    drop(squatter);
    let served = async {
        loop {
            if let Ok(stream) = TcpStream::connect(address).await {
                return get(stream, "/healthz").await.unwrap().0;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    assert_eq!(tokio::time::timeout(Duration::from_secs(10), served).await, Ok(StatusCode::OK));
}

#[tokio::test]
async fn the_status_is_on_the_socket_only_and_a_body_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("admin.sock");
    let (admin, _board, _beat) = admin();
    let (router, mut connections) = (admin.clone().public(), Connections::default());
    let mut tasks = Tasks::default();
    let served = path.clone();
    tasks.spawn("status", serve_unix(served, admin.private()));
    let mut stream = loop {
        match UnixStream::connect(&path).await {
            Ok(stream) => break stream,
            Err(_) => tokio::task::yield_now().await,
        }
    };
    let public = get(connect(&mut connections, &router), "/v1/status").await.unwrap().0;
    let private = get(UnixStream::connect(&path).await.unwrap(), "/v1/status").await.unwrap().0;
    assert_eq!((public, private), (StatusCode::NOT_FOUND, StatusCode::OK));
    stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    tasks.abort().await;
    assert!(!path.exists());
}
