//! Tag sets: immutable, sorted, shared.
//!
//! A [`TagSet`] is plain data that may cross threads. The sample path never builds one: a worker's
//! [`Recorder`](crate::Recorder) interns each distinct set once and hands out a [`TagSetId`].

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHasher};

/// Names of the tags that say where in a test a sample comes from. The program sets them itself, as options allow.
pub mod system {
    pub const CHECK: &str = "check";
    pub const GROUP: &str = "group";
    pub const SCENARIO: &str = "scenario";

    // These two are metadata of samples, and no tags of series.
    pub const VU: &str = "vu";
    pub const ITER: &str = "iter";

    /// Whether a system tag of this name is metadata.
    pub fn is_metadata(name: &str) -> bool {
        name == VU || name == ITER
    }
}

/// Tags sorted by key, each key once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TagSet {
    pairs: Arc<[(Arc<str>, Arc<str>)]>,
}

impl TagSet {
    /// Of several values for one key the last wins.
    pub fn new<K: Into<Arc<str>>, V: Into<Arc<str>>>(pairs: impl IntoIterator<Item = (K, V)>) -> Self {
        let mut sorted = std::collections::BTreeMap::new();
        for (key, value) in pairs {
            sorted.insert(key.into(), value.into());
        }
        Self { pairs: sorted.into_iter().collect() }
    }

    pub fn get(&self, key: &str) -> Option<&str> {
        let at = self.pairs.binary_search_by(|(k, _)| (**k).cmp(key)).ok()?;
        Some(&self.pairs[at].1)
    }

    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.pairs.iter().map(|(k, v)| (&**k, &**v))
    }

    /// Whether they are the same; told at once of copies of one set.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.pairs, &other.pairs) || self == other
    }

    pub fn len(&self) -> usize {
        self.pairs.len()
    }

    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// A copy with one tag set.
    #[must_use]
    pub fn with(&self, key: &str, value: &str) -> Self {
        self.merged([(key, value)])
    }

    /// A copy without one tag.
    #[must_use]
    pub fn without(&self, key: &str) -> Self {
        Self { pairs: self.pairs.iter().filter(|(k, _)| &**k != key).cloned().collect() }
    }

    /// A copy with further tags; they win over the present ones.
    #[must_use]
    pub fn merged<'a>(&self, more: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut pairs = self.pairs.to_vec();
        for (key, value) in more {
            match pairs.binary_search_by(|(k, _)| (**k).cmp(key)) {
                Ok(at) => pairs[at].1 = value.into(),
                Err(at) => pairs.insert(at, (key.into(), value.into())),
            }
        }
        Self { pairs: pairs.into() }
    }
}

/// A tag set interned by one [`Recorder`](crate::Recorder); meaningless to any other, and to the same one after it has
/// begun a new [`Epoch`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TagSetId {
    index: u32,
    epoch: Epoch,
}

impl Hash for TagSetId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // Tables of ids hold those of one epoch.
        self.index.hash(state);
    }
}

impl TagSetId {
    /// Whether the recorder that gave it out, and is in that epoch now, still knows it.
    pub fn is_of(self, epoch: Epoch) -> bool {
        self.epoch == epoch
    }
}

/// A recorder forgets its tag sets and series when there are too many; ids are of one epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Epoch(u32);

/// Keeps each distinct tag set once, and how sets were derived from others, so that a set that is asked for
/// again costs a look-up and no set.
#[derive(Debug, Default)]
pub(crate) struct TagInterner {
    epoch: Epoch,
    sets: Vec<TagSet>,
    ids: FxHashMap<TagSet, TagSetId>,
    /// By the hash of base and tags; a few share one.
    derived: FxHashMap<u64, Vec<Derivation>>,
}

#[derive(Debug)]
struct Derivation {
    base: TagSetId,
    tags: Box<[(Box<str>, Box<str>)]>,
    result: TagSetId,
}

impl TagInterner {
    pub(crate) fn intern(&mut self, set: &TagSet) -> TagSetId {
        if let Some(&id) = self.ids.get(set) {
            return id;
        }
        let id = TagSetId { index: self.sets.len() as u32, epoch: self.epoch };
        self.sets.push(set.clone());
        self.ids.insert(set.clone(), id);
        id
    }

    pub(crate) fn derive<'a>(
        &mut self,
        base: TagSetId,
        tags: impl Iterator<Item = (&'a str, &'a str)> + Clone,
    ) -> TagSetId {
        let mut hasher = FxHasher::default();
        base.hash(&mut hasher);
        tags.clone().for_each(|tag| tag.hash(&mut hasher));
        let hash = hasher.finish();
        let same_hash = self.derived.entry(hash).or_default();
        let known = same_hash.iter().find(|known| {
            let mut own = known.tags.iter();
            known.base == base
                && tags.clone().all(|(k, v)| own.next().is_some_and(|(ok, ov)| **ok == *k && **ov == *v))
                && own.next().is_none()
        });
        if let Some(known) = known {
            return known.result;
        }
        let set = self.get(base).merged(tags.clone());
        let result = self.intern(&set);
        let tags = tags.map(|(k, v)| (k.into(), v.into())).collect();
        self.derived.entry(hash).or_default().push(Derivation { base, tags, result });
        result
    }

    pub(crate) fn get(&self, id: TagSetId) -> &TagSet {
        debug_assert!(id.is_of(self.epoch), "an id was kept over the end of its epoch");
        &self.sets[id.index as usize]
    }

    pub(crate) fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Sets, and ways they were derived.
    pub(crate) fn len(&self) -> usize {
        self.sets.len().max(self.derived.len())
    }

    /// Begins the next epoch, with nothing in it.
    pub(crate) fn forget(&mut self) {
        *self = Self { epoch: Epoch(self.epoch.0.wrapping_add(1)), ..Self::default() };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tags() -> impl Strategy<Value = Vec<(String, String)>> {
        prop::collection::vec(("[a-c]", "[x-z]"), 0..5)
    }

    proptest! {
        #[test]
        fn a_derived_set_is_the_merged_one(base in tags(), own in prop::collection::vec(tags(), 1..6)) {
            let mut interner = TagInterner::default();
            let base_set = TagSet::new(base.iter().map(|(k, v)| (k.as_str(), v.as_str())));
            let base = interner.intern(&base_set);
            for own in own.iter().chain(&own) {
                let pairs = || own.iter().map(|(k, v)| (k.as_str(), v.as_str()));
                let derived = interner.derive(base, pairs());
                prop_assert_eq!(interner.get(derived), &base_set.merged(pairs()));
            }
        }
    }
}
