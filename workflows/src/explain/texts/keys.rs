//! PHI1xx: keys and values: which there are, and what they take.

use super::Text;

pub(super) const TEXTS: &[Text] = &[
    (
        "PHI101",
        "The key is not part of the language at this place. The help lists those that are.",
    ),
    ("PHI102", "A key that has no default is missing."),
    ("PHI103", "The value has another type than the key takes."),
    (
        "PHI104",
        "The value has the right type and is none of those that the key takes, or is outside \
         the range.",
    ),
    (
        "PHI105",
        "A workflow has one main body: `steps`, a graph by `needs`, or `states`, a finite state \
         machine. Make it two workflows, of which one calls the other.",
    ),
    (
        "PHI106",
        "A step does exactly one thing, and one key says which: `prompt`, `task`, `foreach`, `wait` \
         or another of those that the help lists.",
    ),
    (
        "PHI107",
        "The key has no meaning for a step of this kind, and would be ignored. Remove it, or \
         put it where the help says.",
    ),
    ("PHI108", "The value is empty where something is wanted."),
    (
        "PHI109",
        "Ids of steps, inputs and outputs are `snake_case`, names of workflows are \
         `kebab-case`, at most 63 characters.",
    ),
    (
        "PHI110",
        "The name is a word of the expression language, or of phisync itself, and could not be \
         used in expressions.",
    ),
    (
        "PHI111",
        "Durations are whole numbers with units, larger ones first: `500ms`, `30s`, `15m`, \
         `2h30m`, `7d`; or ISO 8601 without months and years.",
    ),
    (
        "PHI112",
        "A version is a quoted semantic version, as `version: \"1.2.0\"`. Without quotation marks \
         `1.2` would be a number.",
    ),
    (
        "PHI113",
        "The schema cannot be used, for instance because it holds itself.",
    ),
    (
        "PHI114",
        "The default of a schema is not a value that the schema allows.",
    ),
    (
        "PHI115",
        "The text is written in a dialect that this version does not read.",
    ),
    (
        "PHI116",
        "The steps of `do:`, of handlers and of branches run one after the other, in the order in \
         which they are written: each needs the one before it, and nobody says so. Write `steps:` \
         for a graph by `needs`.",
    ),
    (
        "PHI117",
        "The key is still read, and a later version will not know it. The help says what to write \
         instead.",
    ),
    (
        "PHI118",
        "Two keys say the same thing in two ways. Keep one.",
    ),
    (
        "PHI120",
        "A comment `# phisync: allow CODE - reason` allows a warning on the next line. Without \
         a known code and a reason it allows nothing.",
    ),
];
