//! Unified diffs, read and applied strictly.
//!
//! Strict means: every context and removed line must stand exactly where the hunk says, with no
//! fuzz and no offset, because a patch that fits somewhere else says that its writer saw another
//! file. Works on bytes, so line ends and encodings survive. Never panics, whatever comes in. Knows
//! one file: names in the header are not looked at.

/// A parsed diff of one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Patch {
    hunks: Vec<Hunk>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Hunk {
    /// Lines of the old text before the hunk's first.
    skip: usize,
    lines: Vec<Line>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Line {
    kind: Kind,
    /// With its line end, if it has one.
    text: Vec<u8>,
    /// Where in the diff, from 1.
    at: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Keep,
    Remove,
    Add,
}

/// Why a diff cannot be used. Lines count from 1.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatchError {
    /// It is no unified diff of one file.
    #[error("line {line} of the patch: {reason}")]
    Malformed {
        /// Of the patch.
        line: usize,
        /// What is wrong.
        reason: &'static str,
    },
    /// It was made for another content.
    #[error("line {line} of the patch does not fit line {at} of the file: {reason}")]
    Misfit {
        /// Of the patch.
        line: usize,
        /// Of the file.
        at: usize,
        /// How.
        reason: &'static str,
    },
}

impl Patch {
    /// Reads a diff.
    ///
    /// # Errors
    /// [`PatchError::Malformed`].
    pub fn parse(text: &str) -> Result<Self, PatchError> {
        Parser::new(text).patch()
    }

    /// The new content of a file that holds `old`.
    ///
    /// # Errors
    /// [`PatchError::Misfit`] at the first line that is not as the patch says.
    pub fn apply(&self, old: &[u8]) -> Result<Vec<u8>, PatchError> {
        let lines: Vec<&[u8]> = old.split_inclusive(|byte| *byte == b'\n').collect();
        let mut new = Vec::with_capacity(old.len());
        let mut next = 0;
        for hunk in &self.hunks {
            let first = hunk.lines.first().map_or(0, |line| line.at);
            let Some(untouched) = lines.get(next..hunk.skip) else {
                return Err(PatchError::Misfit {
                    line: first,
                    at: lines.len(),
                    reason: "the file ends before",
                });
            };
            new.extend(untouched.iter().flat_map(|line| line.iter()));
            next = hunk.skip;
            for line in &hunk.lines {
                if line.kind == Kind::Add {
                    new.extend_from_slice(&line.text);
                    continue;
                }
                let misfit = |reason| PatchError::Misfit {
                    line: line.at,
                    at: next.saturating_add(1),
                    reason,
                };
                match lines.get(next) {
                    None => return Err(misfit("the file ends before")),
                    Some(there) if *there == &*line.text => {}
                    Some(_) => return Err(misfit("the file has another line there")),
                }
                if line.kind == Kind::Keep {
                    new.extend_from_slice(&line.text);
                }
                next = next.saturating_add(1);
            }
        }
        let rest = lines.get(next..).unwrap_or_default();
        let mut new_end = new.last().is_none_or(|byte| *byte == b'\n');
        for line in rest {
            // Only the last line of a file may lack its end.
            if !new_end {
                return Err(PatchError::Misfit {
                    line: self.last_line(),
                    at: next.saturating_add(1),
                    reason: "the patch ends the file before",
                });
            }
            new.extend_from_slice(line);
            new_end = line.ends_with(b"\n");
        }
        Ok(new)
    }

    fn last_line(&self) -> usize {
        let last = self.hunks.last().and_then(|hunk| hunk.lines.last());
        last.map_or(0, |line| line.at)
    }
}

struct Parser<'t> {
    lines: Vec<&'t str>,
    next: usize,
}

impl<'t> Parser<'t> {
    fn new(text: &'t str) -> Self {
        Self {
            lines: text.split_inclusive('\n').collect(),
            next: 0,
        }
    }

    fn peek(&self) -> Option<&'t str> {
        self.lines.get(self.next).copied()
    }

    fn malformed(&self, reason: &'static str) -> PatchError {
        PatchError::Malformed {
            line: self.next.saturating_add(1),
            reason,
        }
    }

    fn patch(mut self) -> Result<Patch, PatchError> {
        self.header()?;
        let mut hunks = Vec::new();
        let mut passed = 0;
        while self.peek().is_some() {
            let hunk = self.hunk(passed)?;
            passed = hunk.skip.saturating_add(hunk.old_lines());
            hunks.push(hunk);
        }
        if hunks.is_empty() {
            return Err(self.malformed("it has no hunk: `@@ -1,3 +1,4 @@` and lines are needed"));
        }
        Ok(Patch { hunks })
    }

    /// What Git and diff write before the first hunk.
    fn header(&mut self) -> Result<(), PatchError> {
        for prefix in ["diff --git ", "index ", "--- "] {
            if self.peek().is_some_and(|line| line.starts_with(prefix)) {
                self.next += 1;
            }
        }
        let old = self.next.checked_sub(1).and_then(|at| self.lines.get(at));
        let old = old.is_some_and(|line| line.starts_with("--- "));
        match self.peek() {
            Some(line) if line.starts_with("+++ ") => {
                if !old {
                    return Err(self.malformed("`+++` stands without `---` before it"));
                }
                self.next += 1;
            }
            _ if old => return Err(self.malformed("`+++ NAME` must follow `--- NAME`")),
            _ => {}
        }
        let names = self.lines.get(..self.next).unwrap_or_default();
        if names.iter().any(|line| line.contains(" /dev/null")) {
            return Err(PatchError::Malformed {
                line: 1,
                reason: "it creates or deletes a file: use `op: write` or `op: delete`",
            });
        }
        Ok(())
    }

    fn hunk(&mut self, passed: usize) -> Result<Hunk, PatchError> {
        let line = self.peek().unwrap_or_default();
        let ranges = ranges(line);
        let Some(((old_start, old_count), (_, new_count))) = ranges else {
            return Err(self.malformed("a hunk begins with `@@ -LINE,COUNT +LINE,COUNT @@`"));
        };
        // An empty range names the line after which it lies.
        let skip = if old_count == 0 {
            Some(old_start)
        } else {
            old_start.checked_sub(1)
        };
        let Some(skip) = skip.filter(|skip| *skip >= passed) else {
            return Err(self.malformed("hunks must be in order and not overlap"));
        };
        self.next += 1;
        let (mut old, mut new) = (0, 0);
        let mut lines = Vec::new();
        while old < old_count || new < new_count {
            let line = self.line()?;
            old += usize::from(line.kind != Kind::Add);
            new += usize::from(line.kind != Kind::Remove);
            if old > old_count || new > new_count {
                self.next -= 1;
                return Err(self.malformed("the hunk has more lines than its head says"));
            }
            lines.push(line);
            self.no_newline(&mut lines);
        }
        if lines.is_empty() {
            return Err(self.malformed("the hunk changes nothing"));
        }
        Ok(Hunk { skip, lines })
    }

    fn line(&mut self) -> Result<Line, PatchError> {
        let Some(line) = self.peek() else {
            return Err(self.malformed("the hunk has fewer lines than its head says"));
        };
        let kind = match line.as_bytes().first() {
            Some(b' ') => Kind::Keep,
            Some(b'-') => Kind::Remove,
            Some(b'+') => Kind::Add,
            _ => {
                return Err(self.malformed(
                    "a line of a hunk begins with a space, `-` or `+`, even where it is empty",
                ));
            }
        };
        self.next += 1;
        let mut text = line.get(1..).unwrap_or_default().as_bytes().to_vec();
        if !text.ends_with(b"\n") {
            // The diff itself lacks its last line end; the line it tells of has one.
            text.push(b'\n');
        }
        Ok(Line {
            kind,
            text,
            at: self.next,
        })
    }

    /// `\ No newline at end of file` is about the line before it.
    fn no_newline(&mut self, lines: &mut [Line]) {
        if self.peek().is_some_and(|line| line.starts_with("\\ "))
            && let Some(line) = lines.last_mut()
        {
            line.text.pop();
            self.next += 1;
        }
    }
}

impl Hunk {
    fn old_lines(&self) -> usize {
        let old = self.lines.iter().filter(|line| line.kind != Kind::Add);
        old.count()
    }
}

type Range = (usize, usize);

/// `@@ -1,3 +1,4 @@ anything`; a count that is left out is 1.
fn ranges(line: &str) -> Option<(Range, Range)> {
    let rest = line.strip_prefix("@@ -")?;
    let (old, rest) = rest.split_once(" +")?;
    let (new, _) = rest.split_once(" @@")?;
    Some((range(old)?, range(new)?))
}

fn range(text: &str) -> Option<Range> {
    let (start, count) = text.split_once(',').unwrap_or((text, "1"));
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<u32>().ok().filter(|_| digits)
    };
    let start = usize::try_from(number(start)?).ok()?;
    let count = usize::try_from(number(count)?).ok()?;
    Some((start, count))
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::{Patch, PatchError};

    fn apply(old: &str, patch: &str) -> Result<String, PatchError> {
        let new = Patch::parse(patch)?.apply(old.as_bytes())?;
        Ok(String::from_utf8(new).expect("text stays text"))
    }

    #[test]
    fn a_patch_applies_where_it_says_or_not_at_all() {
        let old = "one\ntwo\nthree\n";
        let patch = "--- a/x\n+++ b/x\n@@ -1,3 +1,3 @@ fn\n one\n-two\n+2\n three\n";
        assert_eq!(apply(old, patch).as_deref(), Ok("one\n2\nthree\n"));
        let moved = apply(&format!("zero\n{old}"), patch);
        assert_eq!(
            moved,
            Err(PatchError::Misfit {
                line: 4,
                at: 1,
                reason: "the file has another line there"
            })
        );
        let shorter = apply("one\ntwo\n", patch).expect_err("the file is too short");
        assert_eq!(
            shorter.to_string(),
            "line 7 of the patch does not fit line 3 of the file: the file ends before"
        );
    }

    #[test]
    fn ends_of_files_are_part_of_the_content() {
        let without = "@@ -1 +1 @@\n-a\n\\ No newline at end of file\n+a\n";
        assert_eq!(apply("a", without).as_deref(), Ok("a\n"));
        assert!(apply("a\n", without).is_err());
        let to_empty = "@@ -1 +0,0 @@\n-a\n";
        assert_eq!(apply("a\n", to_empty).as_deref(), Ok(""));
        assert_eq!(apply("", "@@ -0,0 +1 @@\n+a").as_deref(), Ok("a\n"));
        let early_end = "@@ -1 +1 @@\n-a\n+b\n\\ No newline at end of file\n";
        assert!(apply("a\nrest\n", early_end).is_err());
    }

    #[test]
    fn what_is_no_diff_of_one_file_is_refused_at_its_line() {
        let line = |patch: &str| match Patch::parse(patch) {
            Err(PatchError::Malformed { line, .. }) => line,
            other => panic!("{patch:?}: {other:?}"),
        };
        assert_eq!(line(""), 1);
        assert_eq!(line("just words\n"), 1);
        assert_eq!(line("--- a\n@@ -1 +1 @@\n-a\n+b\n"), 2);
        assert_eq!(line("+++ b\n@@ -1 +1 @@\n-a\n+b\n"), 1);
        assert_eq!(line("--- /dev/null\n+++ b\n@@ -0,0 +1 @@\n+b\n"), 1);
        assert_eq!(line("@@ -1 +1 @@\n-a\n"), 3);
        assert_eq!(line("@@ -1 +1 @@\n-a\nb\n"), 3);
        assert_eq!(line("@@ -1,2 +1,2 @@\n a\n\n"), 3);
        assert_eq!(line("@@ -1 +1 @@\n-a\n-b\n+c\n"), 3);
        assert_eq!(line("@@ -3 +3 @@\n-a\n+b\n@@ -3 +3 @@\n-a\n+b\n"), 4);
        assert_eq!(line("@@ -99999999999 +1 @@\n-a\n+b\n"), 1);
        assert_eq!(line("@@ -0,0 +0,0 @@\n"), 2);
        assert_eq!(line("@@ -1 +1 @@\n-a\n+b\n--- c\n+++ d\n"), 4);
    }

    struct Edit {
        old: String,
        new: String,
        patch: String,
    }

    /// Both texts and the patch between them, written straight from a script of kept, deleted and inserted lines.
    /// `ends` says whether the last line of the old and of the new text ends with a newline.
    fn edit(script: &[(char, String)], ends: [bool; 2], context: usize) -> Edit {
        let last = |gone: char| script.iter().rposition(|(mark, _)| *mark != gone);
        let (last_old, last_new) = (last('+'), last('-'));
        // A line that ends both texts ends them alike.
        let ends_new = if last_old == last_new {
            ends[0]
        } else {
            ends[1]
        };
        // An empty line without its newline would be no line at all.
        let unended = |index: usize, mark: char| {
            let ends_old = mark == '+' || last_old != Some(index) || ends[0];
            let ends_new = mark == '-' || last_new != Some(index) || ends_new;
            !(script[index].1.is_empty() || ends_old && ends_new)
        };
        // What ends one text alone is another line in the other: it cannot be kept.
        let script: Vec<_> = script
            .iter()
            .enumerate()
            .flat_map(|(index, (mark, line))| {
                let half = *mark == ' '
                    && (last_old == Some(index)) != (last_new == Some(index))
                    && unended(index, ' ');
                let marks = if half { vec!['-', '+'] } else { vec![*mark] };
                marks
                    .into_iter()
                    .map(move |mark| (mark, line.as_str(), unended(index, mark)))
            })
            .collect();
        let text = |gone: char| {
            let lines = script.iter().filter(|(mark, ..)| *mark != gone);
            lines
                .map(|(_, line, unended)| format!("{line}{}", if *unended { "" } else { "\n" }))
                .collect()
        };
        let changed = |index: usize| script[index].0 != ' ';
        let shown = |index: usize| {
            let near = index.saturating_sub(context)..(index + context + 1).min(script.len());
            near.into_iter().any(changed)
        };
        let mut patch = String::from("--- a\n+++ b\n");
        let (mut at, mut before) = (0, [0, 0]);
        while at < script.len() {
            let end = (at..script.len())
                .find(|index| !shown(*index))
                .unwrap_or(script.len());
            if end == at {
                // Outside of every hunk all lines are kept.
                before = before.map(|lines| lines + 1);
                at += 1;
                continue;
            }
            let counts = ['+', '-'].map(|gone| {
                script[at..end]
                    .iter()
                    .filter(|(mark, ..)| *mark != gone)
                    .count()
            });
            let start = |side: usize| before[side] + usize::from(counts[side] > 0);
            patch.push_str(&format!(
                "@@ -{},{} +{},{} @@\n",
                start(0),
                counts[0],
                start(1),
                counts[1]
            ));
            for (mark, line, unended) in &script[at..end] {
                let end = if *unended {
                    "\n\\ No newline at end of file"
                } else {
                    ""
                };
                patch.push_str(&format!("{mark}{line}{end}\n"));
            }
            before = [before[0] + counts[0], before[1] + counts[1]];
            at = end;
        }
        Edit {
            old: text('+'),
            new: text('-'),
            patch,
        }
    }

    proptest! {
        #[test]
        fn the_diff_of_two_texts_turns_one_into_the_other(
            script in vec((select(vec![' ', ' ', '-', '+']), "[abc ]{0,3}\r?"), 1..14),
            ends in any::<[bool; 2]>(),
            context in 0_usize..4,
        ) {
            prop_assume!(script.iter().any(|(mark, _)| *mark != ' '));
            let Edit { old, new, patch } = edit(&script, ends, context);
            let applied = apply(&old, &patch);
            prop_assert_eq!(applied.as_ref(), Ok(&new), "{}", patch);
        }

        #[test]
        fn garbage_is_refused_and_nothing_panics(
            old in "[ab\n]{0,8}",
            patch in "(@@ -[0-9]{1,2}(,[0-9])? \\+[0-9](,[0-9])? @@\n|[-+ \\\\][ab]?\n?|--- a\n|\\+\\+\\+ b\n){0,9}",
        ) {
            if let Ok(parsed) = Patch::parse(&patch) {
                let _either = parsed.apply(old.as_bytes());
            }
        }

        #[test]
        fn bytes_of_any_kind_do_no_harm(patch in ".{0,60}") {
            let _either = Patch::parse(&patch);
        }
    }
}
