//! When a session speaks, and how long a silence it bears.

use super::*;

/// The gaps of a thousand packets of an Up session, in thousandths of the interval.
fn jitter(detect_mult: u8) -> (u128, u128, u128) {
    let mut session = settled(config(100, 100, detect_mult));
    let sent = sent_until(&mut session, at(90_000));
    let gaps: Vec<u128> = gaps(&sent).iter().map(|gap| gap.as_micros() / 100).collect();
    assert!(gaps.len() > 900);
    let mean = gaps.iter().sum::<u128>() / gaps.len() as u128;
    (*gaps.iter().min().unwrap(), mean, *gaps.iter().max().unwrap())
}

#[test]
fn every_gap_is_three_quarters_of_the_interval_to_a_whole_one() {
    let (least, mean, most) = jitter(3);
    assert!((750..770).contains(&least) && (865..885).contains(&mean) && (995..=1000).contains(&most));
}

#[test]
fn with_a_multiplier_of_one_no_gap_is_over_nine_tenths() {
    let (least, mean, most) = jitter(1);
    assert!((750..770).contains(&least) && (820..830).contains(&mean) && (897..=900).contains(&most));
}

#[test]
fn two_sessions_do_not_speak_in_step() {
    let times = |seed| {
        let mut session = Session::new(at(0), Discriminator::new(1).unwrap(), config(300, 300, 3), seed);
        sent_until(&mut session, at(10_000)).into_iter().map(|(time, _)| time).collect::<Vec<_>>()
    };
    assert_ne!(times(1), times(2));
    assert_eq!(times(1), times(1), "the same seed");
    assert!((0..100).all(|seed| times(seed)[0] <= at(100)), "the first packet does not wait");
}

#[test]
fn the_detection_time_is_their_multiplier_and_the_slower_of_our_rx_and_their_tx() {
    let detection_time = |rx, theirs: Packet| {
        let mut session = settled(config(50, rx, 9));
        hear(&mut session, at(0), theirs);
        session.status().detection_time
    };
    let theirs = |detect_mult, tx: Option<u64>| Packet {
        detect_mult: DetectMult::new(detect_mult).unwrap(),
        desired_min_tx: tx.map(interval),
        ..from_remote(State::Up)
    };
    assert_eq!(detection_time(300, theirs(5, Some(100))), Some(ms(1500)));
    assert_eq!(detection_time(100, theirs(5, Some(300))), Some(ms(1500)));
    assert_eq!(detection_time(100, theirs(1, None)), Some(ms(100)));
    let longest =
        detection_time(100, Packet { desired_min_tx: Interval::from_micros(u32::MAX), ..theirs(255, None) });
    assert_eq!(longest, Some(Duration::from_micros(255 * u64::from(u32::MAX))));
    assert_eq!(session().status().detection_time, None, "nothing was heard yet");
}

#[test]
fn silence_counts_from_the_arrival_and_not_from_the_reading() {
    let mut session = settled(config(300, 300, 3));
    let fast = Packet {
        detect_mult: DetectMult::new(3).unwrap(),
        desired_min_tx: Some(interval(300)),
        ..from_remote(State::Up)
    };
    let _ = session.receive(at(900), at(400), &fast);
    // Older news do not shorten it.
    let _ = session.receive(at(900), at(300), &fast);
    sent_until(&mut session, at(1299));
    assert_eq!(session.status().state, State::Up);
    sent_until(&mut session, at(1300));
    assert_eq!(session.status().diagnostic, Diagnostic::ControlDetectionTimeExpired);
}

#[test]
fn until_it_is_up_a_session_speaks_once_a_second() {
    let mut session = session();
    let sent = sent_until(&mut session, at(60_000));
    assert!(sent.len() > 55);
    assert!(gaps(&sent).iter().all(|gap| (ms(750)..=ms(1000)).contains(gap)), "{:?}", gaps(&sent));
    assert!(sent.iter().all(|(_, packet)| packet.desired_min_tx == Some(Interval::SECOND) && !packet.poll));
    let mut slower = with(config(5000, 300, 3));
    let sent = sent_until(&mut slower, at(60_000));
    assert!(gaps(&sent).iter().all(|gap| (ms(3750)..=ms(5000)).contains(gap)), "{:?}", gaps(&sent));
}

#[test]
fn from_the_first_packet_in_up_on_it_speaks_fast_and_slowly_again_when_down() {
    let mut session = up(config(300, 300, 3));
    let sent = sent_until(&mut session, at(3000));
    assert!(gaps(&sent).iter().all(|gap| (ms(225)..=ms(300)).contains(gap)), "{:?}", gaps(&sent));
    assert!(sent.len() >= 9 && sent.iter().all(|(_, packet)| packet.desired_min_tx == Some(interval(300))));
    let down = hear(&mut session, at(3000), from_remote(State::Down)).unwrap();
    assert_eq!((down.state, down.desired_min_tx), (State::Down, Some(Interval::SECOND)));
    let sent = sent_until(&mut session, at(9000));
    assert!(sent[0].0 >= at(3750));
    assert!(gaps(&sent).iter().all(|gap| (ms(750)..=ms(1000)).contains(gap)), "{:?}", gaps(&sent));
}

#[test]
fn who_can_receive_less_often_is_sent_less_often() {
    let mut session = settled(config(300, 300, 3));
    hear(&mut session, at(0), Packet { required_min_rx: Some(interval(2000)), ..from_remote(State::Up) });
    assert_eq!(session.status().transmit_interval, Some(ms(2000)));
    let sent = sent_until(&mut session, at(20_000));
    assert!(gaps(&sent).iter().all(|gap| (ms(1500)..=ms(2000)).contains(gap)), "{:?}", gaps(&sent));
}

#[test]
fn a_shorter_interval_is_honoured_at_once_even_where_its_time_has_passed() {
    let mut session = settled(config(100, 300, 3));
    let slow = |rx| Packet { required_min_rx: Some(interval(rx)), ..from_remote(State::Up) };
    hear(&mut session, at(0), slow(10_000));
    let next = session.deadline().unwrap();
    assert!(next >= at(7500));
    hear(&mut session, at(600), slow(1000));
    let sooner = session.deadline().unwrap();
    assert!((at(700)..=at(1100)).contains(&sooner), "{:?}", sooner - at(0));
    // Not earlier than agreed: the last packet was at most 100 ms after the start.
    hear(&mut session, at(650), slow(100));
    assert!(session.deadline().unwrap() <= at(650), "overdue");
    assert!(session.tick(at(650), ms(0)).packet.is_some());
}

#[test]
fn who_wants_no_packets_gets_none_but_answers_and_changes() {
    let mut session = settled(config(300, 300, 3));
    let deaf = |state| Packet { required_min_rx: None, ..from_remote(state) };
    hear(&mut session, at(0), deaf(State::Up));
    assert_eq!(session.status().transmit_interval, None);
    assert!(sent_until(&mut session, at(60_000)).is_empty());
    assert!(hear(&mut session, at(60_000), Packet { poll: true, ..deaf(State::Up) }).is_some());
    assert!(hear(&mut session, at(60_000), deaf(State::Down)).is_some());
    assert!(sent_until(&mut session, at(120_000)).is_empty());
    // It wants them again.
    hear(&mut session, at(120_000), from_remote(State::Up));
    assert!(session.deadline().unwrap() <= at(120_000));
}

#[test]
fn in_demand_mode_of_the_peer_periodic_packets_cease_while_both_are_up() {
    let mut session = settled(config(300, 300, 3));
    let demand = |state| Packet { demand: true, ..from_remote(state) };
    hear(&mut session, at(0), demand(State::Up));
    assert!(sent_until(&mut session, at(60_000)).is_empty());
    // A Poll Sequence of ours is sent all the same, until it is answered.
    assert!(session.configure(at(60_000), config(500, 300, 3)).is_some_and(|packet| packet.poll));
    let sent = sent_until(&mut session, at(63_000));
    assert!(sent.len() >= 9 && sent.iter().all(|(_, packet)| packet.poll && !packet.demand));
    hear(&mut session, at(63_000), Packet { is_final: true, ..demand(State::Up) });
    assert!(sent_until(&mut session, at(120_000)).is_empty());
    // Not Up: it needs to hear us.
    hear(&mut session, at(120_000), demand(State::Down));
    assert!(sent_until(&mut session, at(125_000)).len() >= 5);
}

#[test]
fn whose_clock_stood_still_cannot_tell_silence_and_waits_another_interval_once() {
    let mut session = settled(config(300, 300, 3));
    let fast = Packet {
        detect_mult: DetectMult::new(3).unwrap(),
        desired_min_tx: Some(interval(300)),
        ..from_remote(State::Up)
    };
    hear(&mut session, at(0), fast);
    let tick = session.tick(at(2000), ms(1700));
    assert!(tick.excused && tick.packet.is_some_and(|packet| packet.state == State::Up));
    let mut lucky = session.clone();
    hear(&mut lucky, at(2250), fast);
    assert_eq!(lucky.status().failures, 0);
    // As if nothing had been: the full detection time from then on.
    sent_until(&mut lucky, at(3149));
    assert_eq!(lucky.status().state, State::Up);

    sent_until(&mut session, at(2299));
    assert_eq!(session.status().state, State::Up);
    let again = session.tick(at(2300), ms(1000));
    assert!(!again.excused, "once");
    assert_eq!(session.status().diagnostic, Diagnostic::ControlDetectionTimeExpired);
}

#[test]
fn a_little_lateness_excuses_nothing() {
    let mut session = settled(config(300, 300, 3));
    let detect_mult = DetectMult::new(3).unwrap();
    hear(
        &mut session,
        at(0),
        Packet { detect_mult, desired_min_tx: Some(interval(300)), ..from_remote(State::Up) },
    );
    let tick = session.tick(at(1000), ms(299));
    assert_eq!((tick.excused, tick.packet.map(|packet| packet.state)), (false, Some(State::Down)));
}
