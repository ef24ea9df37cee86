//! Every code that this version can report.
//!
//! The list is what `explain` documents and what tests compare with the fixtures. A code that went
//! away leaves a gap: it is never given another meaning.

/// A code and its subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CodeInfo {
    /// As `PHI205`.
    pub code: &'static str,
    /// A few words for an index.
    pub subject: &'static str,
}

/// The code's entry, `None` for a code that this version does not report.
#[must_use]
pub fn code_info(code: &str) -> Option<&'static CodeInfo> {
    CATALOGUE
        .binary_search_by(|info| info.code.cmp(code))
        .ok()
        .map(|at| &CATALOGUE[at])
}

const fn info(code: &'static str, subject: &'static str) -> CodeInfo {
    CodeInfo { code, subject }
}

/// All codes, sorted.
pub const CATALOGUE: &[CodeInfo] = &[
    info("PHI001", "not valid YAML"),
    info("PHI002", "duplicate key"),
    info("PHI003", "aliases expand too far"),
    info("PHI004", "merge key"),
    info("PHI005", "plain scalar that YAML 1.1 tools read otherwise"),
    info("PHI006", "key is not a string"),
    info("PHI007", "tag is not supported"),
    info("PHI008", "text over a limit"),
    info("PHI009", "not UTF-8, or NUL"),
    info("PHI010", "workflow defined twice"),
    info("PHI101", "unknown key"),
    info("PHI102", "missing key"),
    info("PHI103", "wrong type of value"),
    info("PHI104", "value outside its range"),
    info("PHI105", "steps or states, not both"),
    info("PHI106", "step without kind, or with two"),
    info("PHI107", "key does not apply to this kind"),
    info("PHI108", "empty value"),
    info("PHI109", "not a valid id"),
    info("PHI110", "reserved id"),
    info("PHI111", "not a duration"),
    info("PHI112", "not a quoted semantic version"),
    info("PHI113", "schema is not valid"),
    info("PHI114", "default breaks its schema"),
    info("PHI115", "dialect is not supported"),
    info("PHI116", "`needs` in a sequence"),
    info("PHI118", "keys exclude each other"),
    info("PHI119", "not supported by this version of phisync"),
    info("PHI120", "comment for phisync that says nothing"),
    info("PHI201", "step defined twice"),
    info("PHI202", "`needs` names an unknown step"),
    info("PHI203", "unknown name in an expression"),
    info("PHI204", "step inside a block"),
    info("PHI205", "step used before it is certain to have run"),
    info("PHI206", "unknown state"),
    info("PHI207", "unknown schema or retry policy"),
    info("PHI208", "unknown workflow, or no such version"),
    info("PHI209", "input of another workflow"),
    info("PHI210", "name hides another"),
    info("PHI211", "definition is never used"),
    info("PHI212", "step uses its own output"),
    info("PHI213", "secret or setting is not declared"),
    info("PHI215", "need is implied by another"),
    info("PHI301", "syntax error in an expression"),
    info("PHI302", "unbalanced `${{ }}`"),
    info("PHI303", "unknown function, or wrong arguments"),
    info("PHI304", "type has no such field"),
    info("PHI305", "value may be absent"),
    info("PHI306", "wrong type in an expression"),
    info("PHI307", "condition is not a bool"),
    info("PHI308", "`in` is not a list"),
    info("PHI309", "list or map inside text"),
    info("PHI310", "operator is not defined for these types"),
    info("PHI311", "condition is always the same"),
    info("PHI312", "expressions are not evaluated here"),
    info("PHI313", "text around `${{ }}` in a condition"),
    info("PHI314", "function is not deterministic"),
    info("PHI315", "expression may cost too much"),
    info("PHI316", "division by zero, or index out of range"),
    info("PHI317", "bad regular expression"),
    info("PHI318", "integer out of range"),
    info("PHI319", "fields of this value are not checked"),
    info("PHI401", "needs form a cycle"),
    info("PHI402", "step can never run"),
    info("PHI404", "no initial state, or no final one"),
    info("PHI411", "`switch` without `default`"),
    info("PHI413", "join can never be met"),
    info("PHI415", "repetition without bound"),
    info("PHI417", "step can only be skipped or cancelled"),
    info("PHI418", "calls form a cycle"),
    info("PHI421", "results after the first success are dropped"),
    info("PHI501", "approval without timeout"),
    info("PHI502", "`wait_for` without timeout"),
    info("PHI503", "lease out of range"),
    info("PHI504", "clocks contradict each other"),
    info("PHI505", "attempts may take longer than `total`"),
    info(
        "PHI506",
        "longest path may take longer than the workflow's timeout",
    ),
    info(
        "PHI507",
        "retry after an unknown end of a step that is not idempotent",
    ),
    info("PHI508", "retry has no effect"),
    info("PHI509", "error code cannot occur here"),
    info("PHI517", "back-off shrinks"),
    info("PHI521", "approval is granted by timeout"),
    info("PHI601", "unknown agent"),
    info("PHI602", "no agent has the capability"),
    info("PHI603", "no agent satisfies the assignment"),
    info("PHI604", "only agents without capacity fit"),
    info("PHI606", "only one agent can do the step"),
    info("PHI609", "approval by who did the work"),
    info("PHI610", "role or user unknown or empty"),
    info("PHI701", "effect without undo"),
    info("PHI702", "undo without effect"),
    info("PHI703", "irreversible step before one that may fail"),
    info("PHI704", "compensation reads what may be absent"),
    info("PHI706", "compensation holds what cannot be undone"),
    info("PHI711", "unknown participant of `files`"),
    info("PHI802", "secret in a value"),
];
