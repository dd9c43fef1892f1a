//! BFD sessions under any packets and any passing of time: no panic, at most one answer to a packet, and a driver that
//! can always sleep after it did what was due.
#![no_main]

use std::net::IpAddr;
use std::time::{Duration, Instant};

use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use vipcast_proto::bfd::engine::{Action, Admin, Engine, SessionId};
use vipcast_proto::bfd::path::{Arrival, Hops, Path, Port};
use vipcast_proto::bfd::session::Config;
use vipcast_proto::bfd::types::{DetectMult, Discriminator, Interval};

#[derive(Arbitrary, Debug)]
enum Turn {
    Packet {
        /// From the Detect Mult on: a version and a length that are right go before.
        fields: [u8; 21],
        diagnostic: u8,
        flags: u8,
        /// Put in the place of Your Discriminator, so that later states are reached.
        known: Option<u8>,
        ttl: u8,
        age_ms: u16,
    },
    Octets(Vec<u8>),
    Wait(u16),
    Admin(bool),
    Configure {
        tx: u32,
        rx: u32,
        detect_mult: u8,
    },
    Remove,
    Add,
}

struct Driver {
    engine: Engine,
    now: Instant,
    next: u64,
    known: Vec<Discriminator>,
    actions: Vec<Action>,
}

fuzz_target!(|turns: Vec<Turn>| {
    let now = Instant::now() + Duration::from_secs(3600);
    let mut driver = Driver {
        engine: Engine::new(1),
        now,
        next: 0,
        known: Vec::new(),
        actions: Vec::new(),
    };
    driver.turn(Turn::Add);
    turns.into_iter().for_each(|turn| driver.turn(turn));
});

impl Driver {
    fn turn(&mut self, turn: Turn) {
        let (now, id) = (self.now, SessionId(self.next));
        match turn {
            Turn::Packet {
                fields,
                diagnostic,
                flags,
                known,
                ttl,
                age_ms,
            } => {
                let mut octets = [
                    &[0x20 | (diagnostic & 0x1f), flags, fields[0], 24],
                    &fields[1..],
                ]
                .concat();
                let known = known.and_then(|known| self.known.get(usize::from(known)));
                if let Some(known) = known {
                    octets[8..12].copy_from_slice(&known.number().to_be_bytes());
                }
                self.receive(&octets, ttl | 0xf0, age_ms);
            }
            Turn::Octets(octets) => self.receive(&octets, 255, 0),
            Turn::Wait(ms) => self.now += Duration::from_millis(ms.into()),
            Turn::Admin(true) => self
                .engine
                .admin(now, id, Admin::Up, &mut self.actions),
            Turn::Admin(false) => self
                .engine
                .admin(now, id, Admin::Down, &mut self.actions),
            Turn::Configure {
                tx,
                rx,
                detect_mult,
            } => self.engine.configure(
                now,
                id,
                config(tx, rx, detect_mult),
                &mut self.actions,
            ),
            Turn::Remove => self.engine.remove(now, id, &mut self.actions),
            Turn::Add => {
                self.next += 1;
                let path = Path {
                    remote: IpAddr::from([192, 0, 2, 1]),
                    local: None,
                    interface: None,
                    hops: Hops::Single,
                };
                let timers = config(300_000, 300_000, 3);
                // It is refused while another one is there.
                let _ =
                    self.engine
                        .add(now, SessionId(self.next), path, timers, &mut self.actions);
            }
        }
        self.engine.tick(self.now, &mut self.actions);
        assert!(self.engine.deadline().is_none_or(|at| at > self.now));
        for action in self.actions.drain(..) {
            if let Action::Send(_, packet) = action
                && !self.known.contains(&packet.my_discriminator)
            {
                self.known.push(packet.my_discriminator);
            }
        }
    }

    fn receive(&mut self, octets: &[u8], ttl: u8, age_ms: u16) {
        let arrival = Arrival {
            at: self.now - Duration::from_millis(age_ms.into()),
            source: IpAddr::from([192, 0, 2, 1]),
            destination: IpAddr::from([192, 0, 2, 2]),
            interface: None,
            ttl: Some(ttl),
            port: Port::SingleHop,
        };
        let before = self.actions.len();
        let _ = self
            .engine
            .receive(self.now, &arrival, octets, &mut self.actions);
        let sent = self.actions[before..]
            .iter()
            .filter(|action| matches!(action, Action::Send(..)));
        assert!(sent.count() <= 1);
    }
}

fn config(tx: u32, rx: u32, detect_mult: u8) -> Config {
    Config {
        desired_min_tx: Interval::from_micros(tx.max(1)).unwrap(),
        required_min_rx: Interval::from_micros(rx.max(1)).unwrap(),
        detect_mult: DetectMult::new(detect_mult.max(1)).unwrap(),
    }
}
