//! Which timers count while the other side has not heard of them yet (RFC 5880 §6.8.3).

use super::*;

fn is_final() -> Packet {
    Packet { is_final: true, ..from_remote(State::Up) }
}

fn in_force(session: &Session) -> (Option<Duration>, Option<Duration>) {
    (session.status().transmit_interval, session.status().detection_time)
}

/// The remote's multiplier of 200 makes detection times of these.
fn detection(millis: u64) -> Option<Duration> {
    Some(ms(200 * millis))
}

/// With a remote that sends as often as we like.
fn session_of(tx: u64, rx: u64) -> Session {
    let mut session = settled(config(tx, rx, 3));
    hear(&mut session, at(0), eager(false));
    session
}

fn eager(is_final: bool) -> Packet {
    Packet { is_final, desired_min_tx: Some(interval(1)), ..from_remote(State::Up) }
}

#[test]
fn coming_up_begins_a_sequence_that_ends_with_the_first_final() {
    let mut session = up(config(300, 300, 3));
    let sent = sent_until(&mut session, at(3000));
    assert!(!sent.is_empty() && sent.iter().all(|(_, packet)| packet.poll && !packet.is_final));
    assert_eq!(hear(&mut session, at(3000), is_final()), None);
    let sent = sent_until(&mut session, at(6000));
    assert!(!sent.is_empty() && sent.iter().all(|(_, packet)| !packet.poll));
}

#[test]
fn slower_transmission_waits_for_the_final() {
    let mut session = session_of(300, 300);
    let told = session.configure(at(0), config(900, 300, 3)).unwrap();
    assert_eq!((told.poll, told.desired_min_tx), (true, Some(interval(900))));
    assert_eq!(in_force(&session), (Some(ms(300)), detection(300)));
    let sent = sent_until(&mut session, at(3000));
    assert!(gaps(&sent).iter().all(|gap| (ms(225)..=ms(300)).contains(gap)), "{:?}", gaps(&sent));
    hear(&mut session, at(3000), eager(true));
    assert_eq!(in_force(&session), (Some(ms(900)), detection(300)));
    let sent = sent_until(&mut session, at(12_000));
    assert!(gaps(&sent).iter().all(|gap| (ms(675)..=ms(900)).contains(gap)), "{:?}", gaps(&sent));
}

#[test]
fn faster_reception_waits_for_the_final() {
    let mut session = session_of(300, 300);
    let told = session.configure(at(0), config(300, 100, 3)).unwrap();
    assert_eq!((told.poll, told.required_min_rx), (true, Some(interval(100))));
    assert_eq!(in_force(&session), (Some(ms(300)), detection(300)));
    hear(&mut session, at(10), eager(true));
    assert_eq!(in_force(&session), (Some(ms(300)), detection(100)));
}

#[test]
fn faster_transmission_and_slower_reception_count_at_once() {
    let mut session = session_of(300, 300);
    let told = session.configure(at(0), config(100, 900, 3)).unwrap();
    assert!(told.poll);
    assert_eq!(in_force(&session), (Some(ms(100)), detection(900)));
}

#[test]
fn while_not_up_every_change_counts_at_once() {
    let mut session = session();
    hear(&mut session, at(0), Packet { desired_min_tx: Some(interval(1)), ..from_remote(State::Down) });
    assert!(session.configure(at(0), config(3000, 100, 3)).is_some());
    assert_eq!(in_force(&session), (Some(ms(3000)), detection(100)));
}

#[test]
fn leaving_up_puts_everything_into_force() {
    let mut session = session_of(300, 300);
    assert!(session.configure(at(0), config(5000, 100, 3)).is_some());
    let down = Packet { state: State::Down, ..eager(false) };
    hear(&mut session, at(10), down);
    assert_eq!(in_force(&session), (Some(ms(5000)), detection(100)));
}

#[test]
fn a_final_that_may_answer_older_packets_confirms_nothing_newer() {
    let mut session = session_of(300, 300);
    let _ = session.configure(at(0), config(600, 300, 3));
    let _ = session.configure(at(1), config(900, 300, 3));
    // Of the first sequence, whose packets said 600 ms.
    hear(&mut session, at(2), eager(true));
    assert_eq!(in_force(&session).0, Some(ms(300)));
    assert!(sent_until(&mut session, at(700)).iter().all(|(_, packet)| !packet.poll));
    // "An additional BFD Control packet with the Final (F) bit clear MUST be received".
    hear(&mut session, at(700), eager(false));
    assert!(sent_until(&mut session, at(1400)).iter().all(|(_, packet)| packet.poll));
    hear(&mut session, at(1400), eager(true));
    assert_eq!(in_force(&session).0, Some(ms(900)));
}

#[test]
fn a_new_multiplier_is_told_without_a_sequence() {
    let mut session = session_of(300, 300);
    let told = session.configure(at(0), config(300, 300, 5)).unwrap();
    assert_eq!((told.poll, told.detect_mult.number()), (false, 5));
    assert_eq!(session.configure(at(0), config(300, 300, 5)), None, "nothing new");
}

#[test]
fn a_final_without_a_sequence_changes_nothing() {
    let mut session = session_of(300, 300);
    let before = session.status();
    assert_eq!(hear(&mut session, at(1), eager(true)), None);
    assert_eq!(session.status(), before);
}
