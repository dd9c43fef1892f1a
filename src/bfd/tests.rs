//! What the driver refuses, and that its thread ends.

use vipcast_proto::bfd::types::{DetectMult, Interval};

use super::*;

fn config(remote: &str) -> SessionConfig {
    let detect_mult = DetectMult::new(3).unwrap();
    let timers = Config { desired_min_tx: Interval::SECOND, required_min_rx: Interval::SECOND, detect_mult };
    let remote = remote.parse().unwrap();
    SessionConfig { remote, local: None, interface: None, hops: Hops::Single, timers }
}

#[test]
fn a_session_that_makes_no_sense_is_refused_in_words() {
    let local = "192.0.2.1".parse().ok();
    let interface = Some("eth0".to_owned());
    let behind = Hops::Multiple { minimum_ttl: 1 };
    let refused = [
        (config("0.0.0.0"), "0.0.0.0 is not the address of a system"),
        (config("ff02::1"), "ff02::1 is not the address of a system"),
        (config("255.255.255.255"), "255.255.255.255 is not the address of a system"),
        (SessionConfig { local, ..config("2001:db8::1") }, "192.0.2.1 and 2001:db8::1 are not of one family"),
        (config("fe80::1"), "fe80::1 is link-local: name the interface"),
        (
            SessionConfig { interface: interface.clone(), hops: behind, ..config("fe80::1") },
            "fe80::1 is link-local and cannot be behind a router",
        ),
    ];
    for (config, words) in refused {
        assert_eq!(config.check().unwrap_err().to_string(), words);
    }
    for accepted in [
        config("192.0.2.9"),
        SessionConfig { local, ..config("192.0.2.9") },
        SessionConfig { interface, ..config("fe80::1") },
        SessionConfig { hops: behind, ..config("2001:db8::1") },
    ] {
        assert_eq!(accepted.check(), Ok(()));
    }
}

#[tokio::test]
async fn a_thread_without_sessions_ends_when_asked() {
    let handle = start(Stats::default()).unwrap();
    let commands = Arc::clone(&handle.commands);
    handle.shutdown(Duration::from_secs(60)).await;
    // The thread has dropped its end of the queue, and who asks for something learns it.
    let handle = Handle { commands, stats: Stats::default() };
    assert_eq!(handle.add(config("192.0.2.1")).err(), Some(SessionError::Ended));
}

#[test]
fn trouble_is_told_in_words() {
    let words = [
        Trouble::NoInterface,
        Trouble::Overlaps,
        Trouble::Send { errno: libc::ENETUNREACH },
        Trouble::Listen { port: 4784, errno: libc::EADDRINUSE },
    ]
    .map(|trouble| trouble.to_string());
    assert_eq!(
        words,
        [
            "there is no such interface",
            "another session watches the same path",
            "cannot send: Network is unreachable (os error 101)",
            "cannot receive on UDP port 4784: Address already in use (os error 98)",
        ]
    );
}
