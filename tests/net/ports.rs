//! An interface as an announcer uses it.

use std::collections::BTreeMap;

use tokio::sync::watch;
use tokio::time::timeout;
use vipcast::admin::board::StatusBoard;
use vipcast::admin::metrics::Metrics;
use vipcast::announce::layer2::Segment as _;
use vipcast::announce::port::Port;
use vipcast::net::NetError;
use vipcast::net::wiring::LinkState;
use vipcast_proto::l2::announcer::{Event, Link};

use crate::lan::{Lan, SOON, V4, ip, net};

#[test]
#[ignore = "needs root, for network namespaces: tools/test runs it"]
fn an_interface_that_is_deleted_is_waited_for_and_one_that_was_made_anew_has_to_be_opened_again() {
    let lan = Lan::new();
    let (link, carrier) = watch::channel(Link::Down);
    let (_board, status) = StatusBoard::new("0.1.0", "n1");
    let metrics = Metrics::new("0.1.0", None, status);
    let vips = BTreeMap::from([(ip(V4), net(V4))]);
    lan.a
        .block_on(async || {
            let mut port = Port::open("eth0", vips, link, metrics).await.unwrap();
            let mut next = async || timeout(SOON, port.next()).await.expect("an event within ten seconds");
            assert_eq!(next().await.unwrap(), Event::Link(Link::Up));
            lan.b.delete_link("eth0").unwrap();
            while next().await.unwrap() != Event::Link(Link::Down) {}
            assert_eq!(*carrier.borrow(), Link::Down);
            lan.a.add_veth("eth0", &lan.b, "eth0").unwrap();
            lan.a.set_link("eth0", LinkState::Up).unwrap();
            let end = loop {
                match next().await {
                    Ok(event) => assert_eq!(event, Event::Link(Link::Down)),
                    Err(error) => break error,
                }
            };
            assert!(matches!(end, NetError::Replaced), "{end:?}");
        })
        .unwrap();
}
