//! Answers for Service addresses from user space: one responder for each interface that Services are announced on.
//!
//! No address is put on the node. Who asks for one is answered while the grant is in force at that moment; the traffic
//! that follows is taken by the rules of kube-proxy or Cilium before the kernel asks whose address it is.

mod nics;
mod outbox;
mod split;
mod tell;
mod worker;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use tokio::task::{AbortHandle, JoinSet};
use tracing::{error, warn};
use vipcast_proto::advertiser::{Desired, Report};
use vipcast_proto::election::Grant;
use vipcast_proto::l2::announcer::Link;
use vipcast_proto::l2::ethernet::MacAddr;
use vipcast_proto::l2::responder::{Config, Responder, Tally};

use self::nics::Nics;
use self::split::{Places, Shares};
use self::tell::Teller;
use self::worker::{Said, Wanted, Worker};
use crate::change::{Told, publish};
use crate::witness::Witness;

/// The interface of each of these Service addresses from now on; `None`: it is answered for nowhere.
pub type Interfaces = BTreeMap<IpAddr, Option<Arc<str>>>;

/// What connects the responders with the rest.
#[derive(Debug)]
pub struct Wires {
    /// From the core: what may be announced; what has no interface below is somebody else's.
    pub desired: watch::Receiver<Desired>,
    /// From the services task: the interfaces of Service addresses, granted or not.
    pub interfaces: mpsc::Receiver<Interfaces>,
    /// To the core, under the name [`NAME`].
    pub reports: mpsc::Sender<(String, Report)>,
    /// The carrier of each interface that is named; one that is missing or cannot be used is down.
    pub links: watch::Sender<BTreeMap<Arc<str>, Link>>,
    /// How things stand on each of them, not more often than ten times a second.
    pub standings: watch::Sender<BTreeMap<Arc<str>, Standing>>,
}

/// How things stand on one interface.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Standing {
    /// Its carrier.
    pub link: Link,
    /// How many addresses stand where.
    pub tally: Tally,
    /// Addresses that are granted to this node, and who has them.
    pub rivals: Arc<BTreeMap<IpAddr, MacAddr>>,
}

impl Default for Standing {
    fn default() -> Self {
        Self { link: Link::Down, tally: Tally::default(), rivals: Arc::default() }
    }
}

/// Runs until the core or the services task is gone.
pub async fn run(config: Config, wires: Wires, witness: Witness) {
    let (said, mut heard) = mpsc::channel(64);
    let mut all = All::new(config, wires, witness, said);
    loop {
        all.share();
        if all.settle().await.is_err() {
            return;
        }
        tokio::select! {
            // Permission first: it may have ended.
            biased;
            changed = all.wires.desired.changed() => match changed {
                Ok(()) => all.stale = true,
                Err(_) => return,
            },
            news = all.wires.interfaces.recv() => match news {
                Some(news) => all.place(news),
                None => return,
            },
            Some((interface, said)) = heard.recv() => all.note(&interface, said),
            Some(ended) = all.tasks.join_next() => if let Err(reason) = ended && reason.is_panic() {
                error!(%reason, "a responder has ended");
                return;
            },
        }
    }
}

/// Every interface that is named, or was and is not done yet.
#[derive(Debug)]
struct All {
    config: Config,
    wires: Wires,
    witness: Witness,
    nics: watch::Receiver<Nics>,
    said: mpsc::Sender<(Arc<str>, Said)>,
    tasks: JoinSet<()>,
    members: BTreeMap<Arc<str>, Member>,
    places: Places,
    /// There may be something new to share.
    stale: bool,
    /// Of what was shared; a member has applied it when its report says so.
    version: u64,
    /// Of the [`Desired`] that was shared.
    serial: u64,
    /// The report has to be made anew.
    moved: bool,
    applied: u64,
    left_out: Told<BTreeSet<Arc<str>>>,
}

/// One interface.
#[derive(Debug)]
struct Member {
    wanted: watch::Sender<Wanted>,
    /// Somebody names it.
    named: bool,
    report: Report,
    standing: Standing,
    task: AbortHandle,
}

impl All {
    fn new(config: Config, wires: Wires, witness: Witness, said: mpsc::Sender<(Arc<str>, Said)>) -> Self {
        let (nics_out, nics) = watch::channel(Nics::default());
        let mut tasks = JoinSet::new();
        tasks.spawn(nics::follow(nics_out));
        Self {
            config,
            wires,
            witness,
            nics,
            said,
            tasks,
            members: BTreeMap::new(),
            places: Places::default(),
            stale: true,
            version: 0,
            serial: 0,
            moved: true,
            applied: 0,
            left_out: Told::default(),
        }
    }

    /// With everything else of that kind that is there already.
    fn place(&mut self, news: Interfaces) {
        let desired = self.wires.desired.borrow().vips.clone();
        self.stale |= self.places.take(news, &desired);
        while let Ok(more) = self.wires.interfaces.try_recv() {
            self.stale |= self.places.take(more, &desired);
        }
    }

    /// Tells each interface what it is to answer for now.
    fn share(&mut self) {
        if !std::mem::take(&mut self.stale) {
            return;
        }
        let desired = self.wires.desired.borrow_and_update().clone();
        let Shares { granted, left_out } = self.places.split(&desired.vips);
        (self.version, self.serial, self.moved) = (self.version + 1, desired.serial, true);
        self.tell_left_out(left_out);
        let total = granted.values().map(BTreeMap::len).sum();
        for (interface, member) in &mut self.members {
            member.named = granted.contains_key(interface);
            if !member.named {
                member.want(self.version, BTreeMap::new(), 1);
            }
        }
        for (interface, vips) in granted {
            let frames = portion(self.config.refresh_frames, vips.len(), total);
            if !self.members.contains_key(&interface) {
                let member = self.member(&interface);
                self.members.insert(interface.clone(), member);
            }
            if let Some(member) = self.members.get(&interface) {
                member.want(self.version, vips, frames);
            }
        }
    }

    fn tell_left_out(&mut self, left_out: BTreeSet<Arc<str>>) {
        if left_out.is_empty() {
            self.left_out.is_over();
        } else if self.left_out.is_news(left_out.clone()) {
            let interfaces: Vec<&str> = left_out.iter().map(AsRef::as_ref).collect();
            warn!(?interfaces, "Services name too many interfaces, these are not announced on");
        }
    }

    fn member(&mut self, interface: &Arc<str>) -> Member {
        let (wanted, seen) = watch::channel(Wanted::default());
        let wires = worker::Wires { wanted: seen, nics: self.nics.clone(), said: self.said.clone() };
        let responder = Responder::new(self.config, fastrand::u64(..));
        let teller = Teller::new(interface.clone(), self.witness.clone());
        let task = self.tasks.spawn(Worker::new(interface.clone(), responder, teller, wires).run());
        Member { wanted, named: true, report: Report::default(), standing: Standing::default(), task }
    }

    fn note(&mut self, interface: &str, said: Said) {
        let Some(member) = self.members.get_mut(interface) else { return };
        match said {
            Said::Report(report) => {
                member.report = report;
                self.moved = true;
            }
            Said::Standing(standing) => member.standing = standing,
        }
    }

    /// Passes on what has become of it all. Err: the core is gone.
    async fn settle(&mut self) -> Result<(), mpsc::error::SendError<(String, Report)>> {
        let version = self.version;
        self.members.retain(|_, member| {
            let done = member.report.applied == version && member.report.present.is_empty();
            let stays = member.named || !done;
            if !stays {
                member.task.abort();
            }
            stays
        });
        let standings = self.members.iter().map(|(name, member)| (name.clone(), member.standing.clone()));
        let standings: BTreeMap<_, _> = standings.collect();
        let links = standings.iter().map(|(name, standing)| (name.clone(), standing.link)).collect();
        publish(&self.wires.links, links);
        publish(&self.wires.standings, standings);
        if std::mem::take(&mut self.moved) {
            let report = self.report();
            self.wires.reports.send((NAME.to_owned(), report)).await?;
        }
        Ok(())
    }

    /// A [`Desired`] is applied when every interface has applied its share.
    fn report(&mut self) -> Report {
        if self.members.values().all(|member| member.report.applied == self.version) {
            self.applied = self.serial;
        }
        let mut parts = self.members.values().map(|member| &member.report.present);
        let mut present = parts.next().cloned().unwrap_or_default();
        // Nearly always there is one interface, and nothing to copy.
        parts
            .filter(|part| !part.is_empty())
            .for_each(|part| Arc::make_mut(&mut present).extend(part.iter()));
        Report { applied: self.applied, present }
    }
}

impl Member {
    fn want(&self, version: u64, vips: BTreeMap<IpAddr, Grant>, refresh_frames: u32) {
        self.wanted.send_replace(Wanted { version, vips: Arc::new(vips), refresh_frames });
    }
}

/// What of `frames` belongs to `some` of `total` addresses.
fn portion(frames: u32, some: usize, total: usize) -> u32 {
    let part = u128::from(frames) * some as u128 / total.max(1) as u128;
    u32::try_from(part).unwrap_or(frames).max(1)
}

/// The announcer's name in reports.
pub const NAME: &str = "layer2-services";
