//! Every state, every received state (RFC 5880 §6.8.6), and what remains of it.

use super::super::session::Verdict;
use super::*;

const STATES: [State; 4] = [State::AdminDown, State::Down, State::Init, State::Up];

fn in_state(state: State) -> Session {
    let mut session = session();
    match state {
        State::AdminDown => drop(session.admin_down(at(0))),
        State::Down => {}
        State::Init => drop(hear(&mut session, at(0), from_remote(State::Down))),
        State::Up => session = up(config(300, 300, 3)),
    }
    assert_eq!(session.status().state, state);
    session
}

#[test]
fn every_received_state_leads_where_the_rfc_says() {
    use Diagnostic::{AdministrativelyDown, NeighborSignaledSessionDown, None};
    use State::{AdminDown, Down, Init, Up};
    let expected = [
        // received:     AdminDown, Down, Init, Up
        (AdminDown, [(AdminDown, AdministrativelyDown); 4]),
        (Down, [(Down, None), (Init, None), (Up, None), (Down, None)]),
        (Init, [(Down, NeighborSignaledSessionDown), (Init, None), (Up, None), (Up, None)]),
        (
            Up,
            [
                (Down, NeighborSignaledSessionDown),
                (Down, NeighborSignaledSessionDown),
                (Up, None),
                (Up, None),
            ],
        ),
    ];
    for (local, row) in expected {
        for (received, (state, diagnostic)) in STATES.into_iter().zip(row) {
            let mut session = in_state(local);
            let sent = hear(&mut session, at(10), from_remote(received));
            let status = session.status();
            let case = format!("{local} receives {received}");
            assert_eq!((status.state, status.diagnostic), (state, diagnostic), "{case}");
            // A change is told at once, and nothing else is.
            let told = sent.map(|packet| (packet.state, packet.diagnostic, packet.is_final));
            assert_eq!(told, (state != local).then_some((state, diagnostic, false)), "{case}");
            assert_eq!(status.remote_state, received, "{case}");
        }
    }
}

#[test]
fn every_poll_is_answered_at_once_with_the_state_it_led_to_but_not_in_admin_down() {
    for local in STATES {
        for received in STATES {
            let mut session = in_state(local);
            let answer = hear(&mut session, at(10), Packet { poll: true, ..from_remote(received) });
            let expected = (local != State::AdminDown).then_some((session.status().state, false, true));
            assert_eq!(answer.map(|packet| (packet.state, packet.poll, packet.is_final)), expected);
        }
    }
}

#[test]
fn silence_ends_init_and_up_and_makes_every_state_forget_the_discriminator() {
    for local in STATES {
        let mut session = in_state(local);
        hear(&mut session, at(0), Packet { detect_mult: DetectMult::new(2).unwrap(), ..last_said(local) });
        assert_eq!(session.status().state, local);
        let detection_time = session.status().detection_time.unwrap();
        assert_eq!(detection_time, ms(2000));
        let before = sent_until(&mut session, at(0) + detection_time - ms(1));
        let known = |packet: &Packet| packet.your_discriminator.map(Discriminator::number);
        assert!(before.iter().all(|(_, packet)| known(packet) == Some(THEIRS)), "{local}: {before:?}");

        let after = sent_until(&mut session, at(4100));
        let status = session.status();
        let (state, diagnostic) = match local {
            State::Init | State::Up => (State::Down, Diagnostic::ControlDetectionTimeExpired),
            State::AdminDown => (State::AdminDown, Diagnostic::AdministrativelyDown),
            State::Down => (State::Down, Diagnostic::None),
        };
        assert_eq!((status.state, status.diagnostic), (state, diagnostic), "{local}");
        assert!(!after.is_empty() && after.iter().all(|(_, packet)| known(packet).is_none()), "{after:?}");
        let told_at_once = after[0].0 == at(0) + detection_time;
        assert_eq!(told_at_once, matches!(local, State::Init | State::Up), "{local}");
    }
}

/// What keeps a session in its state.
fn last_said(local: State) -> Packet {
    from_remote(match local {
        State::AdminDown | State::Init => State::Down,
        State::Down => State::AdminDown,
        State::Up => State::Up,
    })
}

#[test]
fn only_a_path_that_was_up_fails_and_not_because_somebody_switched_it_off() {
    let mut session = session();
    let mut seen = vec![session.status()];
    let mut now = at(0);
    for state in [
        State::Down,
        State::Up,
        State::Down,
        State::Down,
        State::Init,
        State::AdminDown,
        State::Down,
        State::Up,
    ] {
        now += ms(10);
        hear(&mut session, now, from_remote(state));
        seen.push(session.status());
    }
    let _ = session.admin_down(now);
    seen.push(session.status());
    let _ = session.admin_up(now);
    seen.push(session.status());
    let verdicts: Vec<_> =
        seen.iter().map(|status| (status.state, status.verdict, status.failures)).collect();
    assert_eq!(
        verdicts,
        [
            (State::Down, Verdict::Unknown, 0),
            (State::Init, Verdict::Unknown, 0),
            (State::Up, Verdict::Up, 0),
            (State::Down, Verdict::Failed, 1),
            (State::Init, Verdict::Failed, 1),
            (State::Up, Verdict::Up, 1),
            (State::Down, Verdict::AdminDown, 1),
            (State::Init, Verdict::Unknown, 1),
            (State::Up, Verdict::Up, 1),
            (State::AdminDown, Verdict::AdminDown, 1),
            (State::Down, Verdict::Unknown, 1),
        ]
    );
}

#[test]
fn a_packet_says_everything_that_is_known() {
    let mut session = session();
    let first = Packet {
        detect_mult: DetectMult::new(3).unwrap(),
        my_discriminator: Discriminator::new(OURS).unwrap(),
        your_discriminator: None,
        required_min_rx: Some(interval(300)),
        ..from_remote(State::Down)
    };
    let sent = sent_until(&mut session, at(100));
    assert_eq!(sent.iter().map(|(_, packet)| *packet).collect::<Vec<_>>(), [first]);
    let init = Packet { state: State::Init, your_discriminator: Discriminator::new(THEIRS), ..first };
    assert_eq!(hear(&mut session, at(100), from_remote(State::Down)), Some(init));
    let up = Packet { state: State::Up, poll: true, desired_min_tx: Some(interval(300)), ..init };
    assert_eq!(hear(&mut session, at(200), from_remote(State::Init)), Some(up));
    let answer = hear(&mut session, at(300), Packet { poll: true, ..from_remote(State::Up) });
    assert_eq!(answer, Some(Packet { poll: false, is_final: true, ..up }));
}
