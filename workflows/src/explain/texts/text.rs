//! PHI0xx: the text that holds a workflow: YAML, encoding, limits.

use super::Text;

pub(super) const TEXTS: &[Text] = &[
    (
        "PHI001",
        "The text is not YAML, so nothing in it could be read. Most often text holds `: ` or ` \
         #`, or starts with a bracket, and wants quotation marks; or the indentation of a line \
         is off.",
    ),
    (
        "PHI002",
        "A map has the same key twice. YAML tools silently take one of the two; phisync takes \
         neither. Remove or rename one.",
    ),
    (
        "PHI003",
        "Aliases (`*name`) are copies of what their anchor stands for. Together they may expand \
         to as much as the limits allow, and never to themselves. Write the values out.",
    ),
    (
        "PHI004",
        "Merge keys (`<<`) are not part of YAML 1.2. Use `defaults:` for what all steps share.",
    ),
    (
        "PHI005",
        "A word without quotation marks, as `on` or `2024-01-31`, is text here and something \
         else in tools that read YAML 1.1. Quote it, so that everybody reads the same.",
    ),
    (
        "PHI006",
        "Keys are text. Quote a key that looks like a number, a bool or null; lists and maps \
         cannot be keys.",
    ),
    (
        "PHI007",
        "Tags (`!name`) are not part of the language. An expression that starts with `!` has to \
         be quoted: `if: \"!steps.a.output.ok\"`.",
    ),
    (
        "PHI008",
        "A workflow's text has limits: 256 KiB, 64 levels, 50,000 nodes. Split the workflow.",
    ),
    ("PHI009", "The text has to be UTF-8 without NUL characters."),
    (
        "PHI010",
        "Two workflows of one file have the same name and version. Rename one, or give it \
         another version.",
    ),
];
