//! Tag sets: immutable, sorted, shared.
//!
//! A [`TagSet`] is plain data that may cross threads. On the sample path nobody builds one: a worker's
//! [`Recorder`](crate::Recorder) interns each distinct set once and hands out a [`TagSetId`].

use std::sync::Arc;

use rustc_hash::FxHashMap;

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

/// A tag set interned by one [`Recorder`](crate::Recorder); meaningless to any other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TagSetId(pub u32);

/// Keeps each distinct tag set once.
#[derive(Debug, Default)]
pub(crate) struct TagInterner {
    sets: Vec<TagSet>,
    ids: FxHashMap<TagSet, TagSetId>,
}

impl TagInterner {
    pub(crate) fn intern(&mut self, set: &TagSet) -> TagSetId {
        if let Some(&id) = self.ids.get(set) {
            return id;
        }
        let id = TagSetId(self.sets.len() as u32);
        self.sets.push(set.clone());
        self.ids.insert(set.clone(), id);
        id
    }

    pub(crate) fn get(&self, id: TagSetId) -> &TagSet {
        &self.sets[id.0 as usize]
    }
}
