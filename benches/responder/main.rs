//! What it costs to have Service addresses: on the interface, with lifetimes that are refreshed each second, and answered
//! for from user space.
//!
//! ```text
//! cargo bench --bench responder                        200 and 10,000 addresses, ten seconds each; needs root
//! cargo bench --bench responder -- --seconds 5 200
//! ```

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a benchmark ends by panicking"
)]
#![allow(dead_code, reason = "the tests of the same use more of it")]

#[path = "../../tests/net/lan.rs"]
mod lan;
#[path = "../../tests/net/speaker.rs"]
mod speaker;

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use clap::Parser;
use ipnet::IpNet;
use lan::{Lan, Node};
use speaker::{Asker, CONFIG, Speaker, cpu, v4, v6};
use vipcast::clock::{now, pause, until};
use vipcast_proto::election::Predecessor;

/// Measure what Service addresses cost
#[derive(Debug, Parser)]
struct Arguments {
    /// How many addresses
    #[arg(default_values_t = [200, 10_000])]
    addresses: Vec<u32>,
    /// For how long each
    #[arg(long, default_value_t = 10)]
    seconds: u32,
    /// Cargo says so
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() {
    let arguments = Arguments::parse();
    println!("| addresses | family | held how | first, all | then, all | CPU, of a core |");
    println!("|---|---|---|---|---|---|");
    for count in arguments.addresses {
        for (family, vips) in [("IPv4", v4(count)), ("IPv6", v6(count))] {
            let (all, round, share) = on_the_interface(&vips, arguments.seconds);
            println!("| {count} | {family} | on the interface | {all:.2?} | {round:.2?} | {share:.1} % |");
            let (all, share) = from_user_space(&vips, arguments.seconds);
            println!("| {count} | {family} | from user space | {all:.2?} | | {share:.1} % |");
        }
    }
}

/// One request of the kernel for each address and second, as the control-plane VIP is held; and how long one for each
/// takes.
fn on_the_interface(vips: &BTreeSet<IpAddr>, seconds: u32) -> (Duration, Duration, f64) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let lan = Lan::new();
        let node = Node::connect(&lan.a);
        let hold = async || {
            for vip in vips {
                node.netlink.hold(lan.index, IpNet::from(*vip), Duration::from_secs(2)).await.unwrap();
            }
        };
        let started = now();
        hold().await;
        let all = now() - started;
        let (before, begun, mut rounds) = (cpu(), now(), Duration::ZERO);
        for second in 1..=seconds {
            let round = now();
            hold().await;
            rounds += now() - round;
            until(Some(begun + Duration::from_secs(second.into()))).await;
        }
        (all, rounds / seconds.max(1), percent(cpu() - before, now() - begun))
    })
}

/// Grants are renewed each second; announcements are repeated once a minute.
fn from_user_space(vips: &BTreeSet<IpAddr>, seconds: u32) -> (Duration, f64) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let lan = Lan::new();
        let mut asker = Asker::new(&lan);
        let mut speaker = Speaker::start(&lan.a, CONFIG);
        let lease = Duration::from_secs(3);
        let started = now();
        speaker.want(vips, now() + lease * 10, Predecessor::Left);
        let mut announced = BTreeSet::new();
        while announced.len() < vips.len() {
            let claims = asker.claims(Duration::from_millis(2)).await;
            announced.extend(claims.into_iter().map(|(vip, _)| vip));
        }
        let all = now() - started;
        speaker.held(vips.len()).await;
        pause(Duration::from_secs(11)).await;
        let (before, begun) = (speaker.cpu(), now());
        for second in 1..=seconds {
            speaker.permit(vips, now() + lease, Predecessor::Left);
            until(Some(begun + Duration::from_secs(second.into()))).await;
        }
        (all, percent(speaker.cpu() - before, now() - begun))
    })
}

fn percent(part: Duration, span: Duration) -> f64 {
    part.as_secs_f64() / span.as_secs_f64() * 100.0
}
