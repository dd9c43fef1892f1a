//! What operators are told, where placement and allocator answer what the test says.

use tokio::sync::oneshot;
use vipcast_proto::placement::Liveness;

use super::*;
use crate::admin::services::{ServiceExplanation, ServiceStatus, ServicesSummary, Told};
use crate::placement::{LEASE, Member, Mode, Whereabouts};

impl Bench {
    /// What `vipcast services` says, where the placement says that these nodes have these addresses.
    async fn told(&mut self, owners: &[(&str, &str)]) -> Told<ServiceStatus> {
        let (answer, answered) = oneshot::channel();
        self.services.answer(Ask::Services(None, answer), &mut self.answering);
        let Some(placement::Ask::Owners(asked)) = self.placing.recv().await else { panic!("not asked") };
        let owners = owners.iter().map(|(at, node)| (at.parse().unwrap(), Some((*node).to_owned())));
        asked.send(owners.collect()).unwrap();
        answered.await.unwrap()
    }

    /// Of the first address of the first Service: who announces it and why, and whether the Service is served.
    async fn first_told(&mut self, owners: &[(&str, &str)]) -> (Vec<String>, String, bool) {
        let told = self.told(owners).await;
        let address = &told.all[0].addresses[0];
        (address.owners.clone(), address.why.clone(), told.all[0].is_served())
    }

    async fn summary(&mut self) -> ServicesSummary {
        let (answer, answered) = oneshot::channel();
        self.services.answer(Ask::Summary(answer), &mut self.answering);
        answered.await.unwrap()
    }

    /// What `vipcast explain service` says of the shop, where this is known of its address.
    async fn explained(&mut self, at: Whereabouts) -> ServiceExplanation {
        let (answer, answered) = oneshot::channel();
        let key = ServiceKey { namespace: "web".into(), name: "shop".into() };
        self.services.answer(Ask::Explain(key, answer), &mut self.answering);
        let Some(placement::Ask::Where(_, asked)) = self.placing.recv().await else { panic!("not asked") };
        asked.send(at).unwrap();
        answered.await.unwrap().unwrap()
    }
}

#[tokio::test]
async fn an_address_that_a_station_on_the_lan_has_is_announced_by_nobody_and_that_is_said_everywhere() {
    let mut bench = Bench::new(|_| ()).await;
    bench.list(vec![service("shop", VIP)]).await;
    bench.place(|placed| placed.role = Role::Member);
    let ours = || vec!["a".to_owned()];
    assert_eq!(bench.first_told(&[(VIP, "a")]).await, (ours(), "announced".to_owned(), true));

    let rivals = Arc::new([(VIP.parse().unwrap(), MacAddr::from([2, 0, 0, 0, 0, 9]))].into());
    bench.standings.send_replace([("eth0".into(), Standing { rivals, ..Standing::default() })].into());
    let why = "02:00:00:00:00:09 on the LAN has it, so this node does not take it".to_owned();
    assert_eq!(bench.first_told(&[(VIP, "a")]).await, (vec![], why.clone(), false));
    let (holder, chosen) = (Some("a".to_owned()), Some("a".to_owned()));
    let explained = bench.explained(Whereabouts { holder, chosen, ..Whereabouts::default() }).await;
    let address = &explained.addresses[0];
    assert_eq!((address.owners.clone(), address.why_owners.clone()), (vec![], why));
    let here = &address.nodes[0];
    let refused = "02:00:00:00:00:09 on the LAN has the address, and it is not taken";
    assert_eq!((here.node.as_str(), here.eligible, here.why.as_str()), ("a", false, refused));
}

#[tokio::test]
async fn who_holds_the_lease_of_all_and_cannot_announce_an_address_is_named() {
    let mut bench = Bench::new(|_| ()).await;
    bench.list(vec![service("shop", VIP)]).await;
    let mut seen = vec![];
    for (mode, holder) in [(Mode::Spread.word(), None), (LEASE, None), (LEASE, Some("b"))] {
        bench.place(|placed| placed.mode = mode);
        let (chosen, holder) = (Some("b".to_owned()), holder.map(str::to_owned));
        let explained = bench.explained(Whereabouts { holder, chosen, ..Whereabouts::default() }).await;
        seen.push(explained.addresses[0].why_owners.clone());
    }
    let cannot = "b has the Lease of all Services, and cannot announce it";
    assert_eq!(seen, ["b is to announce it", cannot, "b is the one it belongs to"]);
}

#[tokio::test]
async fn a_node_whose_vipcast_is_not_there_is_not_eligible_and_it_is_said_why() {
    let mut bench = Bench::new(|_| ()).await;
    let names = ["a", "alive", "drained", "gone", "left", "none", "silent", "unread"];
    bench.list(vec![service("shop", VIP)]).await;
    let nodes = names.map(|name| node(name, true)).to_vec();
    bench.hear(Event::Nodes(Change::Listed(nodes))).await;
    let member = |name: &str, weight, liveness| Member { name: name.into(), weight, liveness };
    let members = vec![
        member("a", Some(3), Liveness::Alive),
        member("alive", Some(1), Liveness::Alive),
        member("drained", Some(0), Liveness::Alive),
        member("gone", Some(1), Liveness::Deleted),
        member("left", Some(1), Liveness::Left),
        member("silent", Some(1), Liveness::Silent),
        member("unread", None, Liveness::Alive),
    ];
    bench.place(|placed| (placed.mode, placed.members) = (Mode::Spread.word(), members));
    let explained = bench.explained(Whereabouts::default()).await;
    let said: Vec<_> = explained.addresses[0]
        .nodes
        .iter()
        .map(|candidate| (candidate.node.as_str(), candidate.eligible, candidate.why.as_str()))
        .collect();
    let (fine, over) = ("nothing speaks against it", "its vipcast has left, or its Lease is over");
    let expected = [
        ("a", true, fine),
        ("alive", true, fine),
        ("drained", false, "it announces nothing (weight 0)"),
        ("gone", false, over),
        ("left", false, over),
        ("none", false, "no vipcast speaks for it"),
        ("silent", false, over),
        ("unread", true, fine),
    ];
    assert_eq!(said, expected);
}

/// The placement knows of no owner then.
#[tokio::test]
async fn while_the_api_server_is_away_nobody_is_said_to_announce_what_others_may() {
    let mut bench = Bench::new(|_| ()).await;
    bench.list(vec![service("shop", VIP)]).await;
    bench.place(|placed| placed.role = Role::Silent);
    let why = "not by this node; of others it is not known here".to_owned();
    assert_eq!(bench.first_told(&[]).await, (vec![], why.clone(), false));
    let note = "this node announces nothing (it has no Lease that counts, or is not fit), and what others announce is \
                not known here";
    assert_eq!(bench.told(&[]).await.notes, [note]);
    let explained = bench.explained(Whereabouts::default()).await;
    let address = &explained.addresses[0];
    assert_eq!((address.owners.clone(), address.why_owners.clone()), (vec![], why));
    assert!(explained.notes.contains(&note.to_owned()), "{:?}", explained.notes);

    bench.place(|placed| placed.role = Role::Member);
    assert_eq!(bench.first_told(&[]).await, (vec![], "nobody announces it".to_owned(), false));
    assert_eq!(bench.told(&[]).await.notes, [""; 0]);
}

/// Nodes that share no Lease do not tell each other.
#[tokio::test]
async fn where_every_node_announces_what_others_do_is_not_known_and_no_outage() {
    let mut bench = Bench::new(|_| ()).await;
    bench.list(vec![service("shop", VIP)]).await;
    bench.place(|placed| (placed.mode, placed.role) = (Mode::EveryNode.word(), Role::Member));
    bench.hear(Event::Nodes(Change::Listed(vec![node("a", true)]))).await;
    assert_eq!(bench.first_told(&[]).await, (vec![], "nobody announces it".to_owned(), false), "alone");

    bench.hear(Event::Nodes(Change::Listed(vec![node("a", true), node("b", true)]))).await;
    let why = "not by this node; of others it is not known here".to_owned();
    assert_eq!(bench.first_told(&[]).await, (vec![], why.clone(), true));
    let explained = bench.explained(Whereabouts::default()).await;
    let address = &explained.addresses[0];
    assert_eq!((address.also_by_others, address.why_owners.clone()), (true, why));
    let holder = Some("a".to_owned());
    let explained = bench.explained(Whereabouts { holder, ..Whereabouts::default() }).await;
    let leaves = explained.addresses[0].successors[0].why.clone();
    assert_eq!(leaves.as_deref(), Some("the others that can announce it already"));

    bench.hear(Event::Nodes(Change::Listed(vec![node("a", true), node("b", false)]))).await;
    assert_eq!(bench.first_told(&[]).await, (vec![], "nobody announces it".to_owned(), false));
}

#[tokio::test]
async fn the_status_counts_services_and_what_of_them_is_announced_here() {
    let mut bench = Bench::new(|_| ()).await;
    let new = read(Written { ingress: vec![], ..written("new", VIP) });
    bench.list(vec![service("shop", VIP), service("blog", "192.0.2.8"), new]).await;
    bench.place(|placed| (placed.mode, placed.role, placed.held) = (Mode::Spread.word(), Role::Member, 1));
    let expected = ServicesSummary {
        distribution: "spread".into(),
        role: "member".into(),
        services: 3,
        waiting: 1,
        addresses: 2,
        announced: 1,
        allocates: false,
        allocator: None,
        notes: vec![],
    };
    assert_eq!(bench.summary().await, expected);
}
