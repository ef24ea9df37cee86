//! PHI8xx: secrets, and text that strangers wrote.

use super::Text;

pub(super) const TEXTS: &[Text] = &[
    (
        "PHI801",
        "The text has the form of a token, a key or a password. Workflows are stored, shown and \
         logged. Name the secret under `secrets:` and hand it over with `task.secrets`; and \
         replace it, since it was written down. What was found is never printed.",
    ),
    (
        "PHI802",
        "Values of steps are written to the journal and shown to people, so a secret cannot be \
         part of one. It is handed to an agent by name, and neither its value nor a hash of it is \
         ever stored.",
    ),
    (
        "PHI803",
        "The prompt of an agent that has a shell holds text that somebody else wrote: another \
         agent, a form, an event. Whoever wrote it could give orders. Pass it as `input`, where \
         it is data, or declare an output that bounds it.",
    ),
    (
        "PHI804",
        "The paths that the step may change are not bounded at all. Name the folders that it is \
         about.",
    ),
    (
        "PHI805",
        "A trigger hands the data of an event to an input that takes anything, and from there \
         it stands in a prompt. Give the input a schema, so that only data of that form starts \
         a run.",
    ),
];
