//! One Service after the other is created: when it has its address, and when that is answered for.

use std::thread;
use std::time::{Duration, Instant};

use vipcast::clock;

use super::{median, quantile};
use crate::Plan;
use crate::bed::{SOON, ms};
use crate::figure::Figure;
use crate::kubernetes::{block_on, client, request};
use crate::panel::Panel;
use crate::rig::{NODES, Rig, address, name};
use crate::stream::Stream;

pub(super) fn measure(plan: &Plan) -> Vec<Figure> {
    let rig = Rig::start(plan, NODES);
    let stream = Stream::open(&rig.bed);
    let (mut assigned, mut answered, mut created) = (vec![], vec![], vec![]);
    let kubeconfig = rig.bed.kubeconfig();
    let work = async {
        let stream = stream;
        // Who uses the cluster has a connection already.
        let client = client(&kubeconfig).await;
        for number in 0..plan.single {
            let [service, slice] = rig.pair(number);
            request(&client, "POST", &slice.0, slice.1.to_string()).await;
            let mut panel = Panel::ask_each(&rig.bed.lan.observer, &[address(number)], ms(2));
            let begin = clock::now();
            request(&client, "POST", &service.0, service.1.to_string()).await;
            created.push(clock::now() - begin);
            assigned.push(status(&stream, number) - begin);
            answered.push(answer(&mut panel, begin) - begin);
        }
    };
    rig.bed.lan.api.namespace.run(|| block_on(work)).unwrap();
    eprintln!("    the request took {:?} in the median", median(&created));
    vec![
        Figure::millis(OF, "address in its status, median", median(&assigned))
            .at_most(20.0)
            .kube_vip("kube-vip 21 to 48 ms"),
        Figure::millis(OF, "address in its status, 99 of 100", quantile(&assigned, 0.99))
            .at_most(100.0)
            .kube_vip("kube-vip 32 to 109 ms"),
        Figure::millis(OF, "first ARP answer, median", median(&answered))
            .at_most(50.0)
            .kube_vip("kube-vip 14 to 32 ms, without asking whether the address is free; MetalLB 0.4 s"),
        Figure::millis(OF, "first ARP answer, 99 of 100", quantile(&answered, 0.99))
            .at_most(100.0)
            .kube_vip("kube-vip 21 to 58 ms"),
    ]
}

/// When the Service with this number got its address, which is the one that was foreseen.
fn status(stream: &Stream, number: usize) -> Instant {
    loop {
        let seen = stream.next(SOON).expect("the Service gets an address");
        match seen.now.flatten() {
            Some(its) if seen.name == name(number) => {
                assert_eq!(its, address(number));
                return seen.at;
            }
            _ => (),
        }
    }
}

fn answer(panel: &mut Panel, begin: Instant) -> Instant {
    let deadline = begin + SOON;
    loop {
        if let Some(said) = panel.said().iter().find(|said| !said.unasked) {
            return said.at;
        }
        assert!(clock::now() < deadline, "nobody answers");
        thread::sleep(Duration::from_millis(1));
    }
}

const OF: &str = "Service created alone";
