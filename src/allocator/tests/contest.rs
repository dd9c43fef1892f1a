//! Somebody else writes the status of a Service of ours.

use super::*;

/// Takes a status away again as soon as it is written, so many times; says after how many seconds it was written.
async fn fight(bench: &mut Bench, rounds: usize) -> Vec<u64> {
    let ours = served("a", "192.0.2.1");
    let theirs = with(&ours, |view| {
        view.ingress = vec!["198.51.100.1".parse().unwrap()];
        view.status_writer = Some("cloud".into());
    });
    let mut pauses = vec![];
    for _ in 0..rounds {
        bench.feed(Feed::Upsert(Arc::clone(&theirs)));
        let begun = clock::now();
        let mut written = bench.write_all(&[Arc::clone(&theirs)]);
        while written.is_empty() {
            let at = bench.allocator.outbox.deadline().expect("it is only postponed");
            tokio::time::advance(at - clock::now()).await;
            bench.allocator.ruled(ruling(1, true));
            written = bench.write_all(&[Arc::clone(&theirs)]);
        }
        pauses.push((clock::now() - begun).as_secs());
        assert_eq!(written[0].ingress, ours.ingress);
        bench.feed(Feed::Upsert(Arc::clone(&ours)));
    }
    pauses
}

#[tokio::test(start_paused = true)]
async fn who_overwrites_a_status_again_and_again_is_answered_later_and_later_and_named_once() {
    let mut bench = Bench::leading("192.0.2.1-192.0.2.9", vec![served("a", "192.0.2.1")]);
    assert_eq!(bench.brief(), []);
    assert_eq!(fight(&mut bench, 6).await, [0, 0, 1, 2, 4, 8]);
    let note = "cloud overwrites the status that vipcast writes, again and again: let one of them serve it, \
        by its loadBalancerClass or with the annotation kube-vip.io/ignore=true, which leaves it to the other";
    assert_eq!(bench.told(), [(Reason::StatusOverwritten, note.to_owned())]);
    tokio::time::advance(Duration::from_secs(60)).await;
    bench.allocator.ruled(ruling(1, true));
    assert_eq!((fight(&mut bench, 2).await, bench.told()), (vec![0, 0], vec![]));
}

#[test]
fn an_earlier_decision_of_ours_that_is_shown_late_is_nobody_elses_writing() {
    let mut bench = Bench::leading("192.0.2.1-192.0.2.9", vec![served("a", "192.0.2.1")]);
    for _ in 0..4 {
        bench.feed(Feed::Upsert(served("a", "192.0.2.2")));
        bench.feed(Feed::Upsert(served("a", "192.0.2.1")));
    }
    assert_eq!((bench.brief(), bench.told()), (vec![], vec![]));
}

#[tokio::test(start_paused = true)]
async fn another_vipcast_that_decides_otherwise_is_answered_later_and_later_too() {
    let mut bench = Bench::leading("192.0.2.1-192.0.2.9", vec![served("a", "192.0.2.1")]);
    tokio::time::advance(PATIENCE).await;
    for _ in 0..3 {
        bench.feed(Feed::Upsert(served("a", "192.0.2.2")));
        bench.feed(Feed::Upsert(served("a", "192.0.2.1")));
    }
    let told: Vec<_> = bench.told().into_iter().map(|(reason, _)| reason).collect();
    assert_eq!(told, [Reason::StatusOverwritten]);
}

#[tokio::test(start_paused = true)]
async fn what_the_feed_has_not_shown_for_long_is_written_again() {
    let mut bench = Bench::leading("192.0.2.1-192.0.2.9", vec![view("a")]);
    let (name, patch) = bench.writes().remove(0);
    bench.land(&name, patch.clone(), Ok(()));
    assert_eq!(bench.brief(), []);
    let doubt = bench.allocator.deadline().expect("the feed is waited for");
    tokio::time::advance(Duration::from_secs(5)).await;
    bench.allocator.ruled(ruling(1, true));
    assert!(doubt <= clock::now());
    assert_eq!(bench.writes(), [(name, patch)]);
}

#[test]
fn what_came_while_a_write_was_under_way_is_not_taken_for_what_it_wrote() {
    let mut bench = Bench::leading("192.0.2.1-192.0.2.9", vec![view("a")]);
    let (name, patch) = bench.writes().remove(0);
    let ours = shown(&view("a"), &patch);
    let theirs = with(&ours, |view| view.ingress = vec!["198.51.100.1".parse().unwrap()]);
    bench.feed(Feed::Upsert(ours));
    bench.feed(Feed::Upsert(theirs));
    bench.land(&name, patch, Ok(()));
    let again: Vec<_> = bench.brief().into_iter().map(|(name, status, _)| (name, status)).collect();
    assert_eq!(again, [("a".to_owned(), Some("192.0.2.1".to_owned()))]);
}
