//! What each code means, in a paragraph and two examples: what `phisync explain` prints.

mod examples;
mod texts;

use crate::diagnostic::code_info;

/// A code in full.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// As `PHI205`.
    pub code: &'static str,
    /// A few words.
    pub subject: &'static str,
    /// Why the compiler says this and what to do.
    pub text: &'static str,
    /// A text that gets the code, and how it reads mended.
    pub example: Option<(&'static str, String)>,
}

/// Why the compiler says this and what to do, `None` for a code of another version.
#[must_use]
pub fn explain(code: &str) -> Option<Explanation> {
    let info = code_info(code)?;
    let (_, text) = texts::all().find(|(known, _)| *known == code)?;
    Some(Explanation {
        code: info.code,
        subject: info.subject,
        text,
        example: examples::example(code),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::CATALOGUE;

    #[test]
    fn every_code_of_the_catalogue_is_explained() {
        let explained: Vec<&str> = texts::all().map(|(code, _)| *code).collect();
        let known: Vec<&str> = CATALOGUE.iter().map(|info| info.code).collect();
        assert_eq!(explained, known);
        assert_eq!(explain("PHI000"), None);
    }

    #[test]
    fn no_example_has_a_change_that_changes_nothing() {
        for code in examples::codes() {
            assert_eq!(examples::stale(code), Vec::<&str>::new(), "{code}");
        }
    }
}
