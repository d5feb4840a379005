//! Groups and checks as a tree, each with the id the reference gives it: the MD5 of its path.

use std::sync::Arc;

use md5::{Digest, Md5};
use senary_metrics::engine::CheckResult;
use senary_metrics::group::{SEPARATOR, steps};

/// A group of checks; the root has an empty name and path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    pub name: String,
    /// `::outer::inner`.
    pub path: String,
    pub groups: Vec<Group>,
    pub checks: Vec<Check>,
}

/// A check, over all scenarios.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    pub name: String,
    pub path: String,
    pub passes: u64,
    pub fails: u64,
}

impl Group {
    /// The tree of all groups and checks of a run, in order of first appearance.
    pub fn tree(groups: &[Arc<str>], checks: &[CheckResult]) -> Self {
        let mut root = Self::default();
        for path in groups {
            root.at(path);
        }
        for check in checks {
            let group = root.at(&check.group);
            let known = group.checks.iter().position(|known| *known.name == *check.name);
            let known = known.unwrap_or_else(|| {
                let path = format!("{}{SEPARATOR}{}", group.path, check.name);
                group.checks.push(Check { name: check.name.to_string(), path, passes: 0, fails: 0 });
                group.checks.len() - 1
            });
            group.checks[known].passes += check.passes;
            group.checks[known].fails += check.fails;
        }
        root
    }

    pub fn id(&self) -> String {
        id(&self.path)
    }

    /// The group of a path below this one; it and the groups above it are added if they are missing.
    fn at(&mut self, path: &str) -> &mut Self {
        let mut group = self;
        for (name, path) in steps(path) {
            let known = group.groups.iter().position(|known| known.path == path);
            let known = known.unwrap_or_else(|| {
                group.groups.push(Self { name: name.to_owned(), path: path.to_owned(), ..Self::default() });
                group.groups.len() - 1
            });
            group = &mut group.groups[known];
        }
        group
    }
}

impl Check {
    pub fn id(&self) -> String {
        id(&self.path)
    }
}

fn id(path: &str) -> String {
    Md5::digest(path).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(group: &str, name: &str, scenario: &str, passes: u64, fails: u64) -> CheckResult {
        CheckResult { name: name.into(), group: group.into(), scenario: scenario.into(), passes, fails }
    }

    #[test]
    fn checks_are_told_apart_by_their_group_and_added_up_over_scenarios() {
        let tree = Group::tree(
            &["::a".into(), "::a::b".into()],
            &[
                check("", "same", "s", 1, 0),
                check("::a", "same", "s", 1, 1),
                check("::a::b", "same", "s", 2, 0),
                check("", "same", "t", 0, 5),
                check("::c", "", "s", 1, 0),
            ],
        );
        assert_eq!(tree.id(), "d41d8cd98f00b204e9800998ecf8427e");
        assert_eq!(tree.checks.len(), 1);
        assert_eq!((tree.checks[0].passes, tree.checks[0].fails), (1, 5));
        assert_eq!(tree.checks[0].id(), "b0e6644bf916fb7be4f09f402f48d263");
        let a = &tree.groups[0];
        assert_eq!((&*a.name, &*a.path, &*a.id()), ("a", "::a", "bbf5ee9e65399b518cbae210b4c64962"));
        assert_eq!(a.checks[0].id(), "8bcba65e040d4c0991e95eeae6213b59");
        let b = &a.groups[0];
        assert_eq!((&*b.name, &*b.path, &*b.id()), ("b", "::a::b", "7dd4103b2f1a7305f971d430101027b7"));
        assert_eq!(b.checks[0].path, "::a::b::same");
        let c = &tree.groups[1];
        assert_eq!((&*c.checks[0].name, &*c.checks[0].path), ("", "::c::"));
    }

    proptest! {
        #[test]
        fn any_path_has_one_place(path in "[:a]{0,12}") {
            let mut root = Group::default();
            let there = root.at(&path).path.clone();
            prop_assert_eq!(&there, &path);
            let once = root.clone();
            root.at(&path);
            prop_assert_eq!(once, root);
        }
    }
}
