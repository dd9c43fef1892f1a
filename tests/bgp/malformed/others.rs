//! The same messages to other speakers, which wait for the peer that sends them: how many each answers right.

use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::time::Duration;

use socket2::{Domain, Socket, Type};

use super::side::Side;
use super::table::{self, Answer, Case, Place, Route, all};
use crate::net;
use crate::router::{Brand, PORT, Router};
use crate::setup::{Family, Peer, Setup};
use crate::support::{Needs, Test, on_request};
use crate::wait::{SOON, ms, wait};

/// Only those that listen.
pub(crate) fn tests() -> Vec<Test> {
    let test = |brand: Brand| {
        let needs = [Needs::Root, Needs::Program("ip"), brand.needs()];
        on_request(format!("malformed::others::{brand}"), &needs, move || compare(brand))
    };
    [Brand::Bird, Brand::Frr, Brand::GoBgp].map(test).into()
}

fn compare(brand: Brand) {
    let (script, net) = (net::net(), net::net());
    net::cable((&script, "eth0"), (&net, "eth0"));
    net::addresses(&net, "eth0", &["10.90.0.1/16"]);
    net::addresses(&script, "eth0", &["10.90.0.2/16"]);
    // All of them are ours.
    net::ip(&script, &["route add local 10.90.4.0/22 dev lo"]);
    let cases = all();
    let mut router = Router::start(brand, &net, setup(&cases));
    let (mut wrong, mut ends) = (0, 0);
    for (number, case) in (0_u16..).zip(&cases) {
        let place = place(number, case);
        let stream = wait("it takes connections", SOON, || {
            // What ended it came before.
            if !router.is_alive() {
                ends += 1;
                router.kill();
                router.start_again();
            }
            script.run(|| dial(place.sender)).unwrap()
        });
        let found = judge(stream, &router, case, &place);
        if let Err(why) = found {
            wrong += 1;
            println!("{brand}: RFC {}: {}: {why}", case.rfc, case.what);
        }
    }
    println!(
        "{brand}: {} of {} are answered right, {ends} end the process",
        cases.len() - wrong,
        cases.len()
    );
}

/// What the speaker does is right, or else what it is.
fn judge(stream: TcpStream, router: &Router, case: &Case, place: &Place) -> Result<(), String> {
    let mut side = Side::new(stream);
    side.reach(case, place)?;
    let heard = side.deliver(case, place);
    if !heard.answers(case, place) {
        return Err(format!("{:?}, but {heard:?}", case.answer));
    }
    let expected = match case.answer {
        Answer::Nothing(Route::Announced | Route::Discarded) => true,
        Answer::Nothing(Route::Withdrawn) => false,
        Answer::Nothing(Route::Unsaid) | Answer::Notification(..) | Answer::End => return Ok(()),
    };
    let [_, a, b, c] = place.route;
    let prefix = format!("{}/24", Ipv4Addr::new(a, b, c, 0)).parse().unwrap();
    // What was not sent by then may not have been looked at.
    for _ in 0..10 {
        if router.routes(Family::V4).iter().any(|route| route.prefix == prefix) == expected {
            return Ok(());
        }
        std::thread::sleep(ms(100));
    }
    Err(format!("{:?}, but the route is {}", case.answer, if expected { "not there" } else { "there" }))
}

fn dial(from: Ipv4Addr) -> Option<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddrV4::new(from, 0).into()).unwrap();
    let to = SocketAddrV4::new(SPEAKER, PORT).into();
    socket.connect_timeout(&to, Duration::from_secs(1)).ok().map(|()| socket.into())
}

fn setup(cases: &[Case]) -> Setup {
    let peers = (0_u16..).zip(cases).map(|(number, case)| {
        let place = place(number, case);
        let mut peer = Peer::new(SPEAKER.into(), place.sender.into(), place.system.into());
        (peer.passive, peer.hold) = (true, 90);
        if case.session == table::Session::Ipv6 {
            peer.families = [Family::V6].into();
        }
        peer
    });
    let mut setup = Setup::new(table::session::SPEAKER_AS.into(), SPEAKER.octets(), peers.collect());
    setup.routes = vec!["192.0.2.1/32".parse().unwrap()];
    setup
}

/// Each case has its own peer and its own route.
fn place(number: u16, case: &Case) -> Place {
    let [high, low] = number.to_be_bytes();
    Place {
        route: [24, 198, 18 + high, low],
        sender: Ipv4Addr::from(u32::from(Ipv4Addr::new(10, 90, 4, 1)) + u32::from(number)),
        identifier: SPEAKER,
        system: case.session.system(),
    }
}

const SPEAKER: Ipv4Addr = Ipv4Addr::new(10, 90, 0, 1);
