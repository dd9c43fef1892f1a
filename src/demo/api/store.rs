//! The objects, the one resource version that counts their changes, and the bounded history that watches are served from.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::sync::Arc;

use serde_json::Value;

use super::failure::Failure;
use super::meta;
use super::resources::{Part, Resource, StatusSubresource};
use super::selector::Selector;

/// Everything that is stored.
#[derive(Debug)]
pub(super) struct Store {
    revision: u64,
    compacted: u64,
    objects: BTreeMap<Key, Arc<Value>>,
    history: VecDeque<Change>,
}

/// Where an object is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    group: &'static str,
    plural: &'static str,
    pub(super) namespace: String,
    pub(super) name: String,
}

impl Key {
    pub(super) fn new(resource: &Resource, namespace: &str, name: &str) -> Self {
        Self {
            group: resource.group,
            plural: resource.plural,
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        }
    }

    fn is_of(&self, resource: &Resource) -> bool {
        (self.group, self.plural) == (resource.group, resource.plural)
    }
}

/// One write.
#[derive(Debug, Clone)]
pub(super) struct Change {
    pub(super) revision: u64,
    pub(super) resource: &'static Resource,
    pub(super) namespace: String,
    pub(super) before: Option<Arc<Value>>,
    /// The object as written; where it was deleted, as it last was.
    pub(super) object: Arc<Value>,
    pub(super) deleted: bool,
}

/// An object after a write, and what the write did.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Written {
    Created(Arc<Value>),
    Updated(Arc<Value>),
    Deleted(Arc<Value>),
}

/// A page of a list.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) items: Vec<Arc<Value>>,
    pub(super) revision: u64,
    /// Where the next page starts, and how many objects are left for it.
    pub(super) rest: Option<(Key, usize)>,
}

/// What a writer demands of the object that it writes.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Preconditions {
    pub(super) uid: Option<String>,
    pub(super) resource_version: Option<String>,
}

impl Store {
    /// An empty store with a past that is compacted already, as every server has that has run before.
    pub(super) fn new() -> Self {
        Self {
            revision: FIRST_REVISION,
            compacted: FIRST_REVISION,
            objects: BTreeMap::new(),
            history: VecDeque::new(),
        }
    }

    pub(super) fn revision(&self) -> u64 {
        self.revision
    }

    /// The oldest version that a watch can start from.
    pub(super) fn compacted(&self) -> u64 {
        self.compacted
    }

    pub(super) fn get(&self, resource: &Resource, key: &Key) -> Result<Arc<Value>, Failure> {
        let object = self.objects.get(key).cloned();
        object.ok_or_else(|| Failure::not_found(resource, &key.name))
    }

    /// The objects in key order, from just after `after`, at most `limit` of them.
    pub(super) fn list(
        &self,
        resource: &Resource,
        namespace: Option<&str>,
        selector: &Selector,
        after: Option<&Key>,
        limit: usize,
    ) -> Page {
        let first = Key::new(resource, namespace.unwrap_or_default(), "");
        let from = after.map_or(Bound::Included(&first), Bound::Excluded);
        let mut matching = self
            .objects
            .range((from, Bound::Unbounded))
            .take_while(|(key, _)| key.is_of(resource) && namespace.is_none_or(|n| n == key.namespace))
            .filter(|(_, object)| selector.matches(object));
        let taken: Vec<_> = matching.by_ref().take(limit).collect();
        let left = matching.count();
        let last = taken.last().map(|(key, _)| (*key).clone());
        Page {
            items: taken.into_iter().map(|(_, object)| object.clone()).collect(),
            revision: self.revision,
            rest: last.filter(|_| left > 0).map(|key| (key, left)),
        }
    }

    pub(super) fn create(
        &mut self,
        resource: &'static Resource,
        key: Key,
        mut object: Value,
    ) -> Result<Written, Failure> {
        if self.objects.contains_key(&key) {
            return Err(Failure::already_exists(resource, &key.name));
        }
        if self.objects.len() >= MAX_OBJECTS {
            return Err(Failure::full());
        }
        if resource.status == StatusSubresource::ClearedOnCreate {
            meta::set_status(&mut object, None);
        }
        meta::begin(&mut object, resource, &key);
        let object = self.admit(resource, &key, object)?;
        Ok(Written::Created(self.put(resource, key, None, object)))
    }

    /// PUT: the whole object, or its status.
    pub(super) fn update(
        &mut self,
        resource: &'static Resource,
        key: Key,
        object: Value,
        part: Part,
    ) -> Result<Written, Failure> {
        let demanded = meta::preconditions(&object);
        let Some(old) = self.objects.get(&key).cloned() else {
            return self.create_by_update(resource, key, object, part, &demanded);
        };
        if demanded.resource_version.is_none() && !resource.unconditional_update {
            let message = "Invalid value: 0: must be specified for an update";
            let field = "metadata.resourceVersion";
            return Err(Failure::invalid(resource, &key.name, field, message));
        }
        check(resource, &key, &old, &demanded)?;
        self.replace(resource, key, old, object, part)
    }

    /// PATCH: `change` makes the new object from the stored one.
    pub(super) fn patch(
        &mut self,
        resource: &'static Resource,
        key: Key,
        part: Part,
        change: impl FnOnce(&mut Value),
    ) -> Result<Written, Failure> {
        let old = self.get(resource, &key)?;
        let mut object = (*old).clone();
        change(&mut object);
        check(resource, &key, &old, &meta::preconditions(&object))?;
        self.replace(resource, key, old, object, part)
    }

    /// DELETE: at once, or once the finalizers are gone.
    pub(super) fn delete(
        &mut self,
        resource: &'static Resource,
        key: Key,
        demanded: &Preconditions,
    ) -> Result<Written, Failure> {
        let old = self.get(resource, &key)?;
        precondition(resource, &key, &old, demanded)?;
        if !meta::has_finalizers(&old) {
            return Ok(Written::Deleted(self.remove(resource, key, &old)));
        }
        let mut object = (*old).clone();
        meta::mark_deleted(&mut object);
        if object == *old {
            return Ok(Written::Updated(old));
        }
        Ok(Written::Updated(self.store(resource, key, old, object)))
    }

    /// The changes after `revision`; `None` where some of them are compacted.
    pub(super) fn since(&self, revision: u64) -> Option<impl Iterator<Item = &Change>> {
        let complete = revision >= self.compacted;
        let first = self.history.partition_point(|change| change.revision <= revision);
        complete.then(|| self.history.range(first..))
    }

    /// Forgets all history: a watch from before now is told so.
    pub(super) fn compact(&mut self) {
        self.compacted = self.revision;
        self.history.clear();
    }

    fn create_by_update(
        &mut self,
        resource: &'static Resource,
        key: Key,
        object: Value,
        part: Part,
        demanded: &Preconditions,
    ) -> Result<Written, Failure> {
        if !resource.create_on_update || part == Part::Status {
            return Err(Failure::not_found(resource, &key.name));
        }
        if let Some(uid) = &demanded.uid {
            let why = format!("Precondition failed: UID in precondition: {uid}, UID in object meta: ");
            return Err(Failure::conflict(resource, &key.name, &why));
        }
        self.create(resource, key, object)
    }

    fn replace(
        &mut self,
        resource: &'static Resource,
        key: Key,
        old: Arc<Value>,
        mut object: Value,
        part: Part,
    ) -> Result<Written, Failure> {
        if part == Part::Status {
            let status = meta::status(&object);
            let metadata = object.get("metadata").cloned();
            object = (*old).clone();
            meta::set_status(&mut object, status);
            meta::adopt_from_status_write(&mut object, metadata.as_ref());
        } else if resource.status != StatusSubresource::None {
            meta::set_status(&mut object, meta::status(&old));
        }
        meta::carry_over(&mut object, &old, resource, &key);
        let object = self.admit(resource, &key, object)?;
        if object == *old {
            return Ok(Written::Updated(old));
        }
        if meta::is_deleted(&object) && !meta::has_finalizers(&object) {
            return Ok(Written::Deleted(self.remove(resource, key, &old)));
        }
        Ok(Written::Updated(self.store(resource, key, old, object)))
    }

    fn admit(&self, resource: &Resource, key: &Key, object: Value) -> Result<Value, Failure> {
        (resource.admit)(object).map_err(|why| Failure::inadmissible(resource, &key.name, &why))
    }

    fn store(&mut self, resource: &'static Resource, key: Key, old: Arc<Value>, object: Value) -> Arc<Value> {
        self.put(resource, key, Some(old), object)
    }

    fn put(
        &mut self,
        resource: &'static Resource,
        key: Key,
        before: Option<Arc<Value>>,
        mut object: Value,
    ) -> Arc<Value> {
        self.revision += 1;
        meta::set_revision(&mut object, self.revision);
        let object = Arc::new(object);
        self.objects.insert(key.clone(), object.clone());
        self.record(resource, key, before, object.clone(), false);
        object
    }

    fn remove(&mut self, resource: &'static Resource, key: Key, old: &Arc<Value>) -> Arc<Value> {
        self.revision += 1;
        let mut object = (**old).clone();
        meta::set_revision(&mut object, self.revision);
        let object = Arc::new(object);
        self.objects.remove(&key);
        self.record(resource, key, Some(old.clone()), object.clone(), true);
        object
    }

    fn record(
        &mut self,
        resource: &'static Resource,
        key: Key,
        before: Option<Arc<Value>>,
        object: Arc<Value>,
        deleted: bool,
    ) {
        if self.history.len() >= MAX_HISTORY
            && let Some(oldest) = self.history.pop_front()
        {
            self.compacted = oldest.revision;
        }
        self.history.push_back(Change {
            revision: self.revision,
            resource,
            namespace: key.namespace,
            before,
            object,
            deleted,
        });
    }
}

fn check(resource: &Resource, key: &Key, old: &Value, demanded: &Preconditions) -> Result<(), Failure> {
    let identity = Preconditions { uid: demanded.uid.clone(), resource_version: None };
    precondition(resource, key, old, &identity)?;
    match &demanded.resource_version {
        Some(version) if meta::text(old, "resourceVersion") != Some(version) => {
            Err(Failure::conflict(resource, &key.name, MODIFIED))
        }
        Some(_) | None => Ok(()),
    }
}

fn precondition(
    resource: &Resource,
    key: &Key,
    old: &Value,
    demanded: &Preconditions,
) -> Result<(), Failure> {
    let demands =
        [("UID", "uid", &demanded.uid), ("ResourceVersion", "resourceVersion", &demanded.resource_version)];
    for (label, field, wanted) in demands {
        let found = meta::text(old, field).unwrap_or_default();
        if let Some(wanted) = wanted.as_deref().filter(|&wanted| wanted != found) {
            let why = format!(
                "Precondition failed: {label} in precondition: {wanted}, {label} in object meta: {found}"
            );
            return Err(Failure::conflict(resource, &key.name, &why));
        }
    }
    Ok(())
}

const MODIFIED: &str =
    "the object has been modified; please apply your changes to the latest version and try again";
const FIRST_REVISION: u64 = 100;
/// Writes that a watch can be behind before it has to list again.
pub(super) const MAX_HISTORY: usize = 4096;
const MAX_OBJECTS: usize = 100_000;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::resources::RESOURCES;
    use super::*;

    fn config_maps() -> &'static Resource {
        RESOURCES.iter().find(|r| r.kind == "ConfigMap").expect("is in the table")
    }

    fn create(store: &mut Store, name: &str) {
        let key = Key::new(config_maps(), "default", name);
        store.create(config_maps(), key, json!({"metadata": {"name": name}})).expect("is new");
    }

    #[test]
    fn history_is_bounded_and_says_what_it_has_forgotten() {
        let mut store = Store::new();
        for n in 0..=MAX_HISTORY {
            create(&mut store, &format!("n{n}"));
        }
        let oldest = FIRST_REVISION + 1;
        let counts = [oldest - 1, oldest].map(|from| store.since(from).map(Iterator::count));
        assert_eq!(counts, [None, Some(MAX_HISTORY)]);
        assert_eq!(store.compacted(), oldest);
    }

    #[test]
    fn compaction_forgets_everything_up_to_now() {
        let mut store = Store::new();
        create(&mut store, "a");
        store.compact();
        let now = store.revision();
        let counts = [now - 1, now].map(|from| store.since(from).map(Iterator::count));
        assert_eq!(counts, [None, Some(0)]);
    }

    #[test]
    fn a_list_ends_with_its_namespace_and_its_resource() {
        let mut store = Store::new();
        for (namespace, name) in [("a", "x"), ("b", "y"), ("b", "z"), ("ba", "x")] {
            let key = Key::new(config_maps(), namespace, name);
            store.create(config_maps(), key, json!({})).expect("is new");
        }
        let selector = Selector::default();
        let names = |namespace: Option<&str>| -> Vec<String> {
            let page = store.list(config_maps(), namespace, &selector, None, usize::MAX);
            let name = |o: &Arc<Value>| meta::text(o, "name").unwrap_or_default().to_owned();
            page.items.iter().map(name).collect()
        };
        assert_eq!(names(Some("b")), ["y", "z"]);
        assert_eq!(names(None), ["x", "y", "z", "x"]);
    }
}
