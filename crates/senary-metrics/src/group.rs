//! Paths of groups: `::outer::inner` is a group within a group, and the empty path stands for all that is in none.

/// What is before each name in the path of a group.
pub const SEPARATOR: &str = "::";

/// The groups on the way to a path, from the outermost: name and path of each.
pub fn steps(path: &str) -> impl Iterator<Item = (&str, &str)> {
    let ends = path.match_indices(SEPARATOR).map(|(at, _)| at).skip(1).chain([path.len()]);
    let mut start = 0;
    ends.filter(|end| *end > 0).map(move |end| {
        let name = &path[start..end];
        start = end;
        (name.strip_prefix(SEPARATOR).unwrap_or(name), &path[..end])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_leads_through_all_groups_around_it() {
        let of = |path| steps(path).collect::<Vec<_>>();
        assert_eq!(of(""), []);
        assert_eq!(of("::a"), [("a", "::a")]);
        assert_eq!(of("::a::b c"), [("a", "::a"), ("b c", "::a::b c")]);
    }
}
