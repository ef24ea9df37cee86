//! PHI7xx: undoing, and files that change as one.

use super::Text;

pub(super) const TEXTS: &[Text] = &[
    (
        "PHI701",
        "When a later step fails, the effects of this one stay. Declare `compensate:`, or state \
         with `compensate: none` that nothing is to be undone.",
    ),
    (
        "PHI702",
        "The step declares that it has no effects, so there is nothing to undo.",
    ),
    (
        "PHI703",
        "What cannot be undone belongs after everything that may fail.",
    ),
    (
        "PHI704",
        "A step is also undone when nobody knows how it ended, and then it has no output. Read \
         it with `self.?output`.",
    ),
    (
        "PHI705",
        "An undo that failed is attempted again, up to ten times, also when nobody knows how an \
         attempt ended: so it may be done twice. Write it so that twice is harmless and say \
         `idempotent: true` in `compensate`, or allow one attempt and let a person decide. It is a \
         remark where the undo asks for attempts and does not say whether it may be repeated.",
    ),
    (
        "PHI706",
        "An undo has to run by itself: it cannot wait for people or events, and is not undone \
         in turn.",
    ),
    (
        "PHI707",
        "The scope undoes its steps when it fails, and nothing in it can fail it: every step \
         goes on after a failure.",
    ),
    (
        "PHI708",
        "Paths are relative to the root of their tree and stay below it. A path that starts \
         with `/` or goes up with `..` would change files that nobody declared.",
    ),
    (
        "PHI709",
        "All changes of a step happen at once, so one path has one change.",
    ),
    (
        "PHI710",
        "Without `expect` the change is written over whatever is there by then, also over what \
         somebody else wrote meanwhile. Say what you saw: the digest of the file, or that there \
         is none.",
    ),
    (
        "PHI711",
        "A change names, in `in`, a tree that `participants` does not declare.",
    ),
    (
        "PHI712",
        "The path is an expression, so what it becomes is known only in a run. `allow` bounds \
         it: a path outside is refused before anything is written.",
    ),
    (
        "PHI713",
        "A `finally` is a sequence: when one of its steps fails, those after it do not run. Let \
         it continue.",
    ),
    (
        "PHI714",
        "Branches run at once, and what they did is undone in the reverse order of completion, \
         which may differ from run to run.",
    ),
];
