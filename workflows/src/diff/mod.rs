//! Two versions of a workflow side by side: what breaks callers and open runs (PHI9xx), and which
//! number the new one deserves.
//!
//! Works on machines, so what is said is about meaning: a reformatted text is the same version.

mod output;
mod places;
mod schema;
mod steps;
mod version;

use crate::compile::compile;
use crate::diagnostic::{Diagnostic, Note, Severity, Sink};
use crate::expr::Type;
use crate::machine::Machine;
use crate::source::SourceText;

use places::Places;
pub use version::Level;

/// What became of a workflow.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// The workflow's name, as the new text has it.
    pub workflow: String,
    /// How much changed.
    pub level: Level,
    /// The least version that the new text may have; `None` if the old one has no number, or if
    /// nothing changed.
    pub proposed: Option<String>,
    /// Findings whose places are in the old text: what is gone.
    pub gone: Vec<Diagnostic>,
    /// Findings whose places are in the new text.
    pub found: Vec<Diagnostic>,
}

/// Why two texts cannot be compared.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CompareError {
    /// One of them is no workflow, or holds several.
    #[error("`{0}` does not hold exactly one valid workflow")]
    NotOne(String),
}

impl Comparison {
    /// Whether a run that is open could not move to the new version, or its number is too low.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.gone
            .iter()
            .chain(&self.found)
            .any(|finding| finding.severity == Severity::Error)
    }
}

/// The findings of a comparison in the making.
#[derive(Default)]
struct Findings {
    old: Sink,
    new: Sink,
    /// Something was added that nobody has to know of.
    additions: bool,
}

/// Compares two texts of one workflow each.
///
/// # Errors
/// See [`CompareError`].
pub fn compare(old: &SourceText, new: &SourceText) -> Result<Comparison, CompareError> {
    let (before, after) = (only(old)?, only(new)?);
    let places = (Places::of(old), Places::of(new));
    let mut findings = Findings::default();
    inputs(&before, &after, &places.1, &mut findings);
    outputs(&before, &after, &places.0, &mut findings);
    output_types(&before, &after, &places.1, &mut findings);
    steps::compare(&before, &after, &places, &mut findings);
    steps::compare_states(&before, &after, &places, &mut findings);
    let Findings {
        old,
        mut new,
        additions,
    } = findings;
    let broken = !old.errors().is_empty() || !new.errors().is_empty();
    let level = match (before.hash() == after.hash(), broken, additions) {
        (true, ..) => Level::Same,
        (false, true, _) => Level::Major,
        (false, false, true) => Level::Minor,
        (false, false, false) => Level::Patch,
    };
    let proposed = version::next(before.version(), level);
    if let Some(least) = &proposed
        && version::is_below(after.version(), least)
    {
        let message = format!("version must become at least {least}");
        let label = format!("a {level} change since {}", before.version());
        let note = Note::error("PHI911", places.1.version(), message).label(label);
        new.push(match places.1.written_version() {
            Some(span) => note.edit(span, format!("\"{least}\"")),
            None => note.help(format!("add `version: \"{least}\"`")),
        });
    }
    Ok(Comparison {
        workflow: after.name().to_owned(),
        level,
        proposed,
        gone: old.finish(),
        found: new.finish(),
    })
}

fn only(source: &SourceText) -> Result<Machine, CompareError> {
    let mut machines = compile(source, None).machines;
    match (machines.pop(), machines.is_empty()) {
        (Some(machine), true) => Ok(machine),
        _ => Err(CompareError::NotOne(source.name().to_owned())),
    }
}

/// PHI901 and PHI902.
fn inputs(before: &Machine, after: &Machine, places: &Places, findings: &mut Findings) {
    for input in after.inputs() {
        let name = &input.name;
        let span = places.below("inputs", name);
        let known = before.inputs().iter().find(|known| known.name == *name);
        let required = input.default.is_none() && !input.schema.is_optional();
        let Some(known) = known else {
            if required {
                findings.new.push(
                    Note::error("PHI901", span, format!("new required input `{name}`"))
                        .help("give it a `default`, or make this a major version"),
                );
            } else {
                findings.additions = true;
            }
            continue;
        };
        let was_required = known.default.is_none() && !known.schema.is_optional();
        if required && !was_required {
            findings.new.push(
                Note::error("PHI902", span, format!("input `{name}` became required"))
                    .help("keep its `default`, or make this a major version"),
            );
        } else if let Some(difference) = schema::narrowed(&known.schema, &input.schema) {
            let message = format!("input `{name}` got narrower: {difference}");
            findings.new.push(
                Note::error("PHI902", span, message)
                    .help("keep taking what was taken, or make this a major version"),
            );
        }
    }
}

/// PHI903. An input that is gone is given in vain, which a start refuses.
fn outputs(before: &Machine, after: &Machine, places: &Places, findings: &mut Findings) {
    let has = |list: &[(String, crate::machine::Template)], name: &str| {
        list.iter().any(|(known, _)| known == name)
    };
    for (name, _) in before.outputs() {
        if !has(after.outputs(), name) {
            findings.old.push(
                Note::error(
                    "PHI903",
                    places.below("outputs", name),
                    format!("output `{name}` is gone"),
                )
                .help("keep it for those who read it, or make this a major version"),
            );
        }
    }
    findings.additions |= after
        .outputs()
        .iter()
        .any(|(name, _)| !has(before.outputs(), name));
    for input in before.inputs() {
        if !after.inputs().iter().any(|known| known.name == input.name) {
            findings.old.push(
                Note::error(
                    "PHI902",
                    places.below("inputs", &input.name),
                    format!("input `{}` is gone", input.name),
                )
                .help(
                    "starts that give it would be refused: keep it, or make this a major version",
                ),
            );
        }
    }
}

/// PHI903, of outputs that both have. Without types of a whole there is nothing to compare.
fn output_types(before: &Machine, after: &Machine, places: &Places, findings: &mut Findings) {
    let (was, is) = (before.interface().output, after.interface().output);
    let (Type::Object(was), Type::Object(is)) = (&was, &is) else {
        return;
    };
    for (name, known) in was.fields() {
        let Some(field) = is.get(name) else { continue };
        let wider = match (&known.absent, &field.absent) {
            (None, Some(_)) => Some("it may be missing".to_owned()),
            _ => output::widened(&known.ty, &field.ty),
        };
        let Some(difference) = wider else { continue };
        findings.new.push(
            Note::error(
                "PHI903",
                places.below("outputs", name),
                format!("output `{name}` got wider: {difference}"),
            )
            .help("keep its type for those who read it, or make this a major version"),
        );
    }
}
