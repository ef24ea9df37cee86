//! The word that was probably meant.

/// The candidate within two edits of `word` (one for short words) that is nearest, first among equals.
pub(super) fn nearest<'a>(word: &str, candidates: &[&'a str]) -> Option<&'a str> {
    let limit = if word.chars().count() < 5 { 1 } else { 2 };
    let near = candidates
        .iter()
        .map(|candidate| (distance(word, candidate), *candidate));
    let best = near
        .filter(|(edits, _)| *edits <= limit)
        .min_by_key(|(edits, _)| *edits);
    best.map(|(_, candidate)| candidate)
}

/// Levenshtein's distance, ignoring ASCII case.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (to, cell) in b.iter().zip(row.iter_mut().skip(1)) {
            let above = *cell;
            let replaced = diagonal + usize::from(!from.eq_ignore_ascii_case(to));
            left = replaced.min(above + 1).min(left + 1);
            diagonal = above;
            *cell = left;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::{distance, nearest};

    #[test]
    fn a_slip_finds_its_word_and_a_stranger_finds_none() {
        let keys = ["capabilities", "concurrency", "command", "pool"];
        assert_eq!(nearest("capabilites", &keys), Some("capabilities"));
        assert_eq!(nearest("Comand", &keys), Some("command"));
        assert_eq!(nearest("pol", &keys), Some("pool"));
        assert_eq!(nearest("colour", &keys), None);
    }

    #[test]
    fn distance_counts_single_edits() {
        for (a, b, edits) in [
            ("", "", 0),
            ("", "abc", 3),
            ("abc", "", 3),
            ("kitten", "sitting", 3),
            ("flaw", "lawn", 2),
        ] {
            assert_eq!(distance(a, b), edits, "{a} to {b}");
        }
    }
}
