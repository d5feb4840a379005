//! What somebody may have meant by a name that nobody knows.

/// The known name that is nearest, if it is near: at most a third of the letters may differ.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let limit = (word.chars().count() / 3).max(1);
    let near = known.into_iter().map(|name| (distance(word, name), name));
    near.filter(|(distance, _)| *distance <= limit).min().map(|(_, name)| name)
}

/// How many letters have to be put in, taken out or changed to get from one word to the other; letter case aside.
fn distance(a: &str, b: &str) -> usize {
    let letters = |word: &str| word.chars().flat_map(char::to_lowercase).collect::<Vec<_>>();
    let (a, b) = (letters(a), letters(b));
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.iter().enumerate() {
            let changed = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_found() {
        let known = ["vus", "duration", "iterations", "thresholds", "stages"];
        assert_eq!(nearest("treshold", known), Some("thresholds"));
        assert_eq!(nearest("itterations", known), Some("iterations"));
        assert_eq!(nearest("vu", known), Some("vus"));
        assert_eq!(nearest("warpSpeed", known), None);
        assert_eq!(nearest("", known), None);
        assert_eq!((distance("kitten", "sitting"), distance("", "abc"), distance("abc", "")), (3, 3, 3));
    }
}
