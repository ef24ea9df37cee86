//! PHI9xx: a version of a workflow held against the one before it.

use super::Text;

pub(super) const TEXTS: &[Text] = &[
    (
        "PHI901",
        "Whoever starts the workflow as before would be refused. Give the input a `default`, or make this \
         a major version.",
    ),
    (
        "PHI902",
        "A value that the old version took is refused by the new one, or an input is gone. Starts that \
         worked would fail.",
    ),
    (
        "PHI903",
        "Somebody may read the output that is gone, or that may now be what it could not be before: a workflow \
         that calls this one, or a person. An output that takes fewer values than before breaks nobody.",
    ),
    (
        "PHI904",
        "A run of the old version may have done this step, or stand in this state. In the \
         new one it would have no place. To rename is to remove and to add.",
    ),
    (
        "PHI905",
        "The step of this name does other work now, so an outcome of the old one would be taken for it, \
         or its `output` does not allow what the old one allowed. Give the new work an id of its own.",
    ),
    (
        "PHI906",
        "What runs relied on when they did the step, that it can be undone, or that it changes \
         little, does not hold any more.",
    ),
    (
        "PHI907",
        "A step that waited for another does not wait for it any more. A run between the two would \
         stand in a place that the new version does not have.",
    ),
    (
        "PHI908",
        "A new step comes before one that a run may have finished, so it would never run there.",
    ),
    (
        "PHI909",
        "A run may have used more iterations, items or visits than the new version allows.",
    ),
    (
        "PHI910",
        "Whoever sends the event or signal does so in the old form, and would not be heard.",
    ),
    (
        "PHI911",
        "A patch changes texts, clocks, retries and labels; a minor version adds optional inputs, \
         outputs and steps that nothing finished depends on; everything else is a major one.",
    ),
];
