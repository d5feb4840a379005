//! Remarks on options that are valid all the same: unknown fields, and nulls that
//! take something away. A script cannot write `undefined` into JSON, so an `undefined` arrives here as null.

/// Everything noticed in one place where options are written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Remarks {
    pub unknown: Vec<UnknownField>,
    pub nulls: Vec<Null>,
    path: Vec<String>,
}

/// A field that means nothing where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownField {
    /// The fields it stands in, from the outermost; without its own name.
    pub path: Vec<String>,
    pub name: String,
    /// The names that mean something there.
    pub known: Vec<&'static str>,
}

/// A null where something was expected, which is not an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Null {
    /// Where it stands, from the outermost field.
    pub path: Vec<String>,
    /// What comes of it.
    pub effect: &'static str,
}

impl Remarks {
    /// Reads what stands in a field, or in an entry of a list.
    pub fn within<T>(&mut self, name: &str, read: impl FnOnce(&mut Self) -> T) -> T {
        self.path.push(name.to_owned());
        let value = read(self);
        self.path.pop();
        value
    }

    pub fn unknown(&mut self, name: &str, known: &[&'static str]) {
        self.unknown.push(UnknownField {
            path: self.path.clone(),
            name: name.to_owned(),
            known: known.to_vec(),
        });
    }

    /// The value that is being read is null.
    pub fn null(&mut self, effect: &'static str) {
        self.nulls.push(Null { path: self.path.clone(), effect });
    }

    pub fn is_empty(&self) -> bool {
        self.unknown.is_empty() && self.nulls.is_empty()
    }
}
