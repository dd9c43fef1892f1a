//! `kubeadm init` with our static pod in place, and with no VIP program at all.

use std::time::Duration;

use super::median;
use crate::Plan;
use crate::bed::{Cleanup, script};
use crate::command::Script;
use crate::figure::Figure;
use vipcast::clock;

/// In turns: what else the machine does comes to both.
pub(super) fn measure(plan: &Plan) -> Vec<Figure> {
    let (mut with, mut without) = (Vec::new(), Vec::new());
    let mut restarts = 0;
    for run in 1..=plan.runs {
        let (plain, _) = init(&["--none"]);
        let (ours, restarted) = init(&["--lease", "5/3/1", "--binary", &plan.daemon]);
        eprintln!("    {run}: without {plain:.1?}, with {ours:.1?}");
        without.push(plain);
        with.push(ours);
        restarts += restarted;
    }
    let (with, without) = (median(&with).as_secs_f64(), median(&without).as_secs_f64());
    let figure =
        |what: &str, seconds| Figure::new(OF, format!("{what}, median of {}", plan.runs), seconds, "s");
    vec![
        figure("without any VIP program", without),
        figure("with us", with),
        Figure::new(OF, "with us, longer by", with - without, "s").at_most(1.0),
        Figure::count(OF, "restarts of our container", restarts)
            .at_most(0.0)
            .kube_vip("0 in 1.36, 4 after one cut"),
    ]
}

/// How long it took, and how often our container was restarted.
fn init(options: &[&str]) -> (Duration, usize) {
    let script = script();
    script.run("down", &[]);
    let _cleanup = Cleanup(script.clone());
    let arguments: Vec<&str> = ["-n", "1"].iter().chain(options).copied().collect();
    script.run("prepare", &arguments);
    let begin = clock::now();
    script.run("init", &[]);
    (clock::now() - begin, restarts(&script))
}

fn restarts(script: &Script) -> usize {
    let path = "jsonpath={.items[*].status.containerStatuses[*].restartCount}";
    let pods = [
        "n1",
        "kubectl",
        "-n",
        "kube-system",
        "get",
        "pods",
        "-l",
        "app.kubernetes.io/name=vipcast",
        "-o",
        path,
    ];
    script.run("exec", &pods).split_whitespace().map(|count| count.parse::<usize>().unwrap()).sum()
}

const OF: &str = "kubeadm init";
