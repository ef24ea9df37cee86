//! PHI3xx: expressions and types.

use super::Text;

pub(super) const TEXTS: &[Text] = &[
    ("PHI301", "The expression is not CEL."),
    (
        "PHI302",
        "Every expression starts with `${{` and ends with `}}`. Write `$${{` for the text \
         `${{`.",
    ),
    (
        "PHI303",
        "There is no such function, or it takes other arguments.",
    ),
    (
        "PHI304",
        "The declared schema has no such field, so reading it would fail in every run.",
    ),
    (
        "PHI305",
        "The value may be absent in some runs: its step may have been skipped or may have \
         failed, or the field is optional. Say what holds then, with `.?field.orValue(x)`, or \
         test `steps.a.outcome == 'succeeded'` in `if`.",
    ),
    ("PHI306", "The function or operator takes another type."),
    (
        "PHI307",
        "A condition is a bool. Nothing else counts as true or false.",
    ),
    (
        "PHI308",
        "A `foreach` runs once per item of a list, or once per entry of a map.",
    ),
    (
        "PHI309",
        "A list or a map inside text has no obvious form. Write `json(x)`, or make the \
         expression the whole value.",
    ),
    (
        "PHI310",
        "The operator is not defined for values of these types.",
    ),
    (
        "PHI311",
        "The condition cannot go either way: it reads nothing, or every value that the declared \
         schemas allow gives the same verdict.",
    ),
    (
        "PHI312",
        "The key holds plain text for people and is never evaluated.",
    ),
    (
        "PHI313",
        "A condition is an expression as a whole. Text around `${{ }}` would make it text, \
         which is never false.",
    ),
    (
        "PHI314",
        "A run has to give the same decisions when it is replayed, so there is no clock and no \
         chance in expressions. `run.now` is the recorded time.",
    ),
    (
        "PHI315",
        "Macros in macros multiply: three of them over lists of a hundred items take a million \
         steps, and an evaluation ends at 100,000. It is an error where the schemas allow lists that \
         long, and a warning where they say nothing. Bound the lists with `maxItems`.",
    ),
    ("PHI316", "The operation fails in every run."),
    ("PHI317", "The pattern is not a regular expression."),
    ("PHI318", "Integers have 64 bits."),
    (
        "PHI319",
        "Without a declared `output` nothing is known of the fields, and a slip shows only in a \
         run.",
    ),
];
