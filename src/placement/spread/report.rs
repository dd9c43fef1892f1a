//! What an operator gets to know of a member: one line for each thing that changed, and answers.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Instant;

use tokio::sync::watch;
use tracing::{info, warn};
use vipcast_proto::placement::{Action, Answer, Liveness, MemberId, Role as Standing, Spread, Weight};

use super::super::{Member, Mode, PlacementReport, REPORT_PACE, Role, Whereabouts};
use crate::admin::metrics::{self, Operation};
use crate::change::{Told, publish};
use crate::kube::failure::Failure;
use crate::kube::members::Outcome;
use crate::witness::Witness;

/// Tells the witnesses of one member.
#[derive(Debug)]
pub(super) struct Reporter {
    node: String,
    out: watch::Sender<PlacementReport>,
    witness: Witness,
    /// When what has happened since the last report is reported.
    due: Option<Instant>,
    reported: Option<(Instant, State)>,
    leaving: bool,
    /// What the last failed request said.
    trouble: Told<String>,
}

/// What a report is about, without what has a price: names, and a walk through all addresses.
#[derive(Debug, Eq, PartialEq)]
struct State {
    role: Role,
    weight: Weight,
    members: Vec<(MemberId, Option<Weight>, Liveness)>,
    grants: u64,
    queued: usize,
    letting_go: usize,
    wanted: usize,
    unserved: usize,
}

impl Reporter {
    pub(super) fn new(node: String, out: watch::Sender<PlacementReport>, witness: Witness) -> Self {
        Self { node, out, witness, due: None, reported: None, leaving: false, trouble: Told::default() }
    }

    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    pub(super) fn leaving(&mut self) {
        self.leaving = true;
        info!("handing over the addresses of services");
    }

    pub(super) fn asked(&mut self, action: &Action, outcome: &Outcome) {
        let operation = match action {
            Action::Read => Operation::Read,
            Action::Write(_) => Operation::Renew,
        };
        self.witness.metrics.lease_request(operation, verdict(&outcome.answer), outcome.latency);
        match (&outcome.answer, &outcome.failure) {
            // Whoever looks for a server says that there is none.
            (_, Some(Failure::NoServer)) | (Answer::Conflict, _) => {}
            (_, Some(failure)) => {
                if self.trouble.is_news(failure.to_string()) {
                    warn!(error = %failure, "member lease cannot be reached");
                }
            }
            (_, None) => {
                if self.trouble.is_over() {
                    info!("member lease can be reached again");
                }
            }
        }
    }

    /// Reports at once what comes after a quiet time, and what follows it together. A renewal is no news.
    pub(super) fn look(&mut self, now: Instant, spread: &Spread) {
        let at = self.reported.as_ref().map_or(now, |(at, _)| *at + REPORT_PACE);
        // To find out whether somebody has kept what nobody can have is not for every event.
        if now < at && (self.due.is_some() || spread.has_homeless()) {
            self.due = Some(at);
            return;
        }
        let state = self.state(spread);
        let news = self.reported.as_ref().is_none_or(|(_, reported)| *reported != state);
        self.due = (news && now < at).then_some(at);
        if news && at <= now {
            self.reported = Some((now, state));
            self.report(spread);
        }
    }

    pub(super) fn ended(&self, spread: &Spread) {
        self.report(spread);
        match spread.role() {
            Standing::Left => info!("handed over the addresses of services"),
            Standing::Silent | Standing::Refused | Standing::Member => {
                warn!(
                    "did not hand over all addresses of services; others take them when this member is past"
                );
            }
        }
    }

    fn report(&self, spread: &Spread) {
        let before = self.out.borrow().clone();
        let report = self.summary(spread);
        tell(&before, &report);
        publish(&self.out, report);
    }

    fn state(&self, spread: &Spread) -> State {
        State {
            role: self.role(spread),
            weight: spread.weight(),
            members: spread.members().map(|member| (member.id, member.weight, member.liveness)).collect(),
            grants: spread.edition().1,
            queued: spread.queued().count(),
            letting_go: spread.letting_go().count(),
            wanted: spread.wanted(),
            unserved: self.unserved(spread),
        }
    }

    fn unserved(&self, spread: &Spread) -> usize {
        if self.role(spread) == Role::Silent { 0 } else { spread.unserved() }
    }

    fn summary(&self, spread: &Spread) -> PlacementReport {
        let others = spread.members().filter(|member| !member.name.starts_with('?'));
        let others = others.map(|member| Member {
            name: member.name.to_owned(),
            weight: member.weight,
            liveness: member.liveness,
        });
        let role = self.role(spread);
        let liveness = if role == Role::Left { Liveness::Left } else { Liveness::Alive };
        let own = Member { name: self.node.clone(), weight: Some(spread.weight()), liveness };
        let mut members: Vec<_> = others.chain([own]).collect();
        members.sort_by(|one, other| one.name.cmp(&other.name));
        PlacementReport {
            mode: Mode::Spread.word(),
            role,
            holder: None,
            members,
            held: spread.grants().count(),
            queued: spread.queued().count(),
            letting_go: spread.letting_go().count(),
            wanted: spread.wanted(),
            unserved: self.unserved(spread),
        }
    }

    fn role(&self, spread: &Spread) -> Role {
        match spread.role() {
            Standing::Left => Role::Left,
            Standing::Refused => Role::Refused,
            Standing::Silent => Role::Silent,
            Standing::Member if self.leaving => Role::Leaving,
            Standing::Member => Role::Member,
        }
    }

    pub(super) fn whereabouts(&self, spread: &Spread, address: IpAddr) -> Whereabouts {
        let chosen = spread.chosen(address);
        let held = spread.grants().any(|(held, _)| held == address);
        let claimed_by: Vec<_> = spread.claimed_by(address).into_iter().collect();
        let holder = self.holder(held, &claimed_by).filter(|_| knows(spread));
        let queued = spread.queued().find(|(queued, _)| *queued == address);
        Whereabouts {
            wanted: spread.is_wanted(address),
            held,
            letting_go: spread.letting_go().any(|leaving| leaving == address),
            chosen: chosen.and_then(|member| self.name(spread, member)),
            holder,
            queued_behind: queued.map(|(_, ahead)| ahead.iter().cloned().collect()).unwrap_or_default(),
            claimed_by,
            next: chosen.and_then(|chosen| self.name(spread, spread.chosen_without(address, chosen)?)),
        }
    }

    pub(super) fn without(&self, spread: &Spread, address: IpAddr, node: &str) -> Option<String> {
        self.name(spread, spread.chosen_without(address, MemberId::of(node))?)
    }

    /// Who is to have each, which is who has it but for moments; where nobody is, who keeps it all the same.
    pub(super) fn owners(&self, spread: &Spread) -> BTreeMap<IpAddr, Option<String>> {
        let members = spread.members().map(|member| (member.id, member.name));
        let names: BTreeMap<_, _> = members.chain([(MemberId::of(&self.node), self.node.as_str())]).collect();
        let ours: BTreeSet<_> = spread.grants().map(|(address, _)| address).collect();
        let owner = |(address, chosen): (IpAddr, Option<MemberId>)| {
            let owner = match chosen {
                Some(member) => names.get(&member).map(|&name| name.to_owned()),
                None => {
                    let claimed_by: Vec<_> = spread.claimed_by(address).into_iter().collect();
                    self.holder(ours.contains(&address), &claimed_by)
                }
            };
            (address, owner.filter(|_| knows(spread)))
        };
        spread.choices().map(owner).collect()
    }

    /// Where several claim it, the order of their writes decides, which only they know.
    fn holder(&self, held: bool, claimed_by: &[String]) -> Option<String> {
        match (held, claimed_by) {
            (true, _) => Some(self.node.clone()),
            (false, [only]) => Some(only.clone()),
            (false, _) => None,
        }
    }

    fn name(&self, spread: &Spread, id: MemberId) -> Option<String> {
        if id == MemberId::of(&self.node) {
            return Some(self.node.clone());
        }
        spread.members().find(|member| member.id == id).map(|member| member.name.to_owned())
    }
}

/// Whether what is seen of the others is of now. They may have lost what this one has lost.
fn knows(spread: &Spread) -> bool {
    match spread.role() {
        Standing::Member | Standing::Left => true,
        Standing::Silent | Standing::Refused => false,
    }
}

fn tell(before: &PlacementReport, now: &PlacementReport) {
    match (before.role, now.role) {
        (before, now) if before == now => {}
        (_, Role::Member) => info!(members = now.members.len(), "member of the spread"),
        (_, Role::Refused) => {
            warn!("another machine speaks under the name of this node: nothing is announced")
        }
        (Role::Member, Role::Silent) => warn!("member lease could not be renewed, nothing is announced"),
        (_, Role::Silent | Role::Standby | Role::Leaving | Role::Left) => {}
    }
    for member in &now.members {
        let known = before.members.iter().find(|other| other.name == member.name);
        if known.map(|known| (known.liveness, known.weight)) != Some((member.liveness, member.weight)) {
            let liveness = member.liveness;
            info!(member = member.name, weight = member.weight, ?liveness, "member seen");
        }
    }
}

fn verdict(answer: &Answer) -> metrics::Outcome {
    match answer {
        Answer::Read(_) | Answer::Written(_) => metrics::Outcome::Ok,
        Answer::Conflict => metrics::Outcome::Conflict,
        Answer::Failed => metrics::Outcome::Unknown,
    }
}
