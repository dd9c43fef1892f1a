//! Services by name, by address, and by whom they go together with.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::sync::Arc;

use super::object::Service;
use crate::ipam::{ServiceKey, ServiceView};

/// All Services that are kept.
#[derive(Clone, Debug, Default)]
pub(super) struct Index {
    services: BTreeMap<ServiceKey, Box<Service>>,
    /// Who has an address in its status, ours or not.
    holders: BTreeMap<IpAddr, Vec<Arc<ServiceView>>>,
    groups: BTreeMap<Arc<str>, BTreeSet<ServiceKey>>,
    /// Those that prefer some nodes.
    choosy: BTreeSet<ServiceKey>,
}

impl Index {
    pub(super) fn get(&self, key: &ServiceKey) -> Option<&Service> {
        self.services.get(key).map(Box::as_ref)
    }

    pub(super) fn services(&self) -> impl Iterator<Item = &Service> + '_ {
        self.services.values().map(Box::as_ref)
    }

    /// Those of one namespace.
    pub(super) fn within<'a>(&'a self, namespace: &'a str) -> impl Iterator<Item = &'a Service> + 'a {
        let first = ServiceKey { namespace: namespace.into(), name: "".into() };
        let from = self.services.range(first..).map(|(_, service)| service.as_ref());
        from.take_while(move |service| *service.key().namespace == *namespace)
    }

    /// Returns what was known of it before.
    pub(super) fn insert(&mut self, service: Service) -> Option<Service> {
        let key = service.key().clone();
        let before = self.remove(&key);
        for &address in &service.view.ingress {
            self.holders.entry(address).or_insert_with(|| Vec::with_capacity(1)).push(service.view.clone());
        }
        if let Some(group) = &service.group {
            self.groups.entry(group.clone()).or_default().insert(key.clone());
        }
        if service.preferred.is_some() {
            self.choosy.insert(key.clone());
        }
        self.services.insert(key, Box::new(service));
        before
    }

    pub(super) fn remove(&mut self, key: &ServiceKey) -> Option<Service> {
        let service = self.services.remove(key)?;
        for address in &service.view.ingress {
            let Some(holders) = self.holders.get_mut(address) else { continue };
            holders.retain(|holder| holder.key != *key);
            if holders.is_empty() {
                self.holders.remove(address);
            }
        }
        if let Some(group) = &service.group
            && let Some(members) = self.groups.get_mut(group)
        {
            members.remove(key);
            if members.is_empty() {
                self.groups.remove(group);
            }
        }
        self.choosy.remove(key);
        Some(*service)
    }

    /// Whether any Service has it, ours or not.
    pub(super) fn is_held(&self, address: IpAddr) -> bool {
        self.holders.contains_key(&address)
    }

    pub(super) fn held(&self) -> impl Iterator<Item = IpAddr> + '_ {
        self.holders.keys().copied()
    }

    pub(super) fn held_within(&self, range: RangeInclusive<IpAddr>) -> impl Iterator<Item = IpAddr> + '_ {
        self.holders.range(range).map(|(&address, _)| address)
    }

    /// Those of ours that have it, the oldest first.
    pub(super) fn owners(&self, address: IpAddr) -> Vec<&Service> {
        let holders = self.holders.get(&address).into_iter().flatten();
        let mut owners: Vec<_> = holders
            .filter_map(|holder| self.get(&holder.key))
            .filter(|service| service.ownership.is_ours())
            .collect();
        owners.sort_unstable_by_key(|service| service.age());
        owners
    }

    /// Those of ours in a group, the oldest first.
    pub(super) fn group(&self, name: &str) -> Vec<&Service> {
        let members = self.groups.get(name).into_iter().flatten();
        let mut members: Vec<_> =
            members.filter_map(|key| self.get(key)).filter(|service| service.ownership.is_ours()).collect();
        members.sort_unstable_by_key(|service| service.age());
        members
    }

    /// The addresses of those that prefer some nodes, and of those that go with them.
    pub(super) fn choosy(&self) -> impl Iterator<Item = IpAddr> + '_ {
        let choosy = self.choosy.iter().filter_map(|key| self.get(key));
        choosy.flat_map(|service| self.together(service))
    }

    /// The addresses of a Service and of its group.
    pub(super) fn together<'a>(&'a self, service: &'a Service) -> impl Iterator<Item = IpAddr> + 'a {
        let group = service.group.as_ref().and_then(|group| self.groups.get(group)).into_iter().flatten();
        let others = group.filter_map(|key| self.get(key));
        others.chain([service]).flat_map(|service| service.view.ingress.iter().copied())
    }
}
