//! Ten thousand addresses and a hundred members: what each says stays small, and all agree on shares.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use vipcast_proto::election::Stamp;
use vipcast_proto::placement::{
    Action, Answer, Config, Event, Facts, Life, MemberId, Record, Spread, Statement, View,
};

use crate::SHORT;

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "a test needs some instant to start from, and prints a duration"
)]
fn ten_thousand_addresses_over_a_hundred_members_need_no_exceptions_and_a_short_statement() {
    let now = Instant::now();
    let names: Vec<_> = (0..100).map(|index| format!("node{index}")).collect();
    let view = View::new(names.iter().map(|name| (MemberId::of(name), 1)));
    let others = names.iter().skip(1).map(|name| (name.clone(), record(1, statement(7, 1, view.clone()))));
    let others: BTreeMap<_, _> = others.collect();
    let mut spread = Spread::new(Config {
        name: "node0".into(),
        life: Life { boot: 1, process: 1 },
        timing: SHORT,
        pace: Duration::from_millis(25),
        patience: Duration::from_millis(500),
    });
    let addresses = (0..10_000).map(|n| IpAddr::from(Ipv4Addr::from(0x0a00_0000 + n)));
    let wanted = addresses.map(|address| (address, Some(Facts::plain(address)))).collect();
    assert_eq!(spread.handle(now, Event::Wanted(wanted)), None);
    assert_eq!(spread.handle(now, Event::Weight(1)), None);
    let Some(Action::Write(write)) = spread.handle(now, Event::Listed(others)) else { panic!("no write") };
    assert_eq!(write.statement, Statement { life: Life { boot: 1, process: 1 }, ..statement(1, 1, view) });
    assert!(write.statement.to_string().len() < 1_000, "{}", write.statement);
    let written = record(2, write.statement);
    assert_eq!(spread.handle(now, Event::Answered(Answer::Written(written.clone()))), None);
    assert_eq!(spread.handle(now, Event::Seen { name: "node0".into(), record: Some(written) }), None);
    let held = spread.grants().count();
    assert!((70..130).contains(&held), "{held}");
    let begun = Instant::now();
    let gone = Event::Seen {
        name: "node5".into(),
        record: Some(record(2, Statement { weight: 0, ..statement(7, 2, View::default()) })),
    };
    let _ = spread.handle(now, gone);
    println!("a member less among a hundred, 10,000 addresses: {:?}", begun.elapsed());
    assert!(spread.grants().count() >= held);
}

fn statement(boot: u128, sequence: u64, view: View) -> Statement {
    let (also, not, unable) = ([].into(), [].into(), [].into());
    Statement { life: Life { boot, process: 1 }, sequence, weight: 1, view, also, not, unable }
}

fn record(version: u64, statement: Statement) -> Record {
    Record {
        version: version.to_string(),
        renewed: Some(Stamp(i64::try_from(version).unwrap())),
        lease_duration: Some(SHORT.lease_duration),
        transitions: 0,
        statement: Some(statement),
    }
}
