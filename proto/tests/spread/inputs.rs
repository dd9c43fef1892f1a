//! Services and their endpoints: the truth, and what each member hears of it, in order but late.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use vipcast_proto::placement::{Event, Facts, Key, MemberId};

use crate::world::{Happening, World};

/// What decides about one address, by the numbers of nodes: orderable, so that the queue is deterministic.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Input {
    pub(crate) group: bool,
    pub(crate) eligible: Option<BTreeSet<usize>>,
    pub(crate) preferred: Option<usize>,
}

pub(crate) const ADDRESSES: u8 = 12;

pub(crate) fn address(number: u8) -> IpAddr {
    IpAddr::from([192, 0, 2, number])
}

impl World {
    pub(crate) fn first_inputs(&mut self) {
        for number in 0..ADDRESSES {
            let input = self.draw_input(number);
            self.inputs.insert(number, Some(input));
        }
    }

    /// Half of them plain; some with endpoints on some nodes only; some in one group; one prefers a node.
    fn draw_input(&mut self, number: u8) -> Input {
        let nodes = self.nodes.len() as u64;
        let mut input = Input { group: false, eligible: None, preferred: None };
        match number {
            6..9 => {
                let eligible = (0..self.nodes.len()).filter(|_| self.dice.chance(45)).collect();
                input.eligible = Some(eligible);
            }
            9..11 => input.group = self.dice.chance(80),
            11 => input.preferred = Some(usize::try_from(self.dice.below(nodes)).unwrap()),
            _ => {}
        }
        input
    }

    pub(crate) fn change_inputs(&mut self) {
        let number = u8::try_from(self.dice.below(ADDRESSES.into())).unwrap();
        let gone = self.inputs[&number].is_some() && self.dice.chance(20);
        let input = if gone { None } else { Some(self.draw_input(number)) };
        self.inputs.insert(number, input.clone());
        self.disturbed_at.insert(number, self.now);
        for node in 0..self.nodes.len() {
            let generation = self.nodes[node].generation;
            let at = (self.now + self.latency()).max(self.nodes[node].informed);
            self.nodes[node].informed = at;
            let delay = at - self.now;
            self.after(delay, Happening::Informed { node, generation, number, input: input.clone() });
        }
    }

    pub(crate) fn informed(&mut self, node: usize, generation: u64, number: u8, input: Option<&Input>) {
        if self.nodes[node].generation == generation {
            let facts = input.map(|input| self.facts(number, input));
            self.step(node, Event::Wanted([(address(number), facts)].into()));
        }
    }

    pub(crate) fn all_facts(&self) -> BTreeMap<IpAddr, Option<Facts>> {
        self.inputs
            .iter()
            .filter_map(|(&number, input)| Some((address(number), Some(self.facts(number, input.as_ref()?)))))
            .collect()
    }

    fn facts(&self, number: u8, input: &Input) -> Facts {
        let id = |&node: &usize| MemberId::of(&self.nodes[node].name);
        Facts {
            key: if input.group { Key::of_group("web/shared") } else { Key::of_address(address(number)) },
            eligible: input.eligible.as_ref().map(|nodes| nodes.iter().map(id).collect()),
            preferred: input.preferred.iter().map(id).collect(),
            unable: false,
            lease: None,
        }
    }
}
