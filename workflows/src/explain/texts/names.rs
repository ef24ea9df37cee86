//! PHI2xx: names, and what they refer to.

use super::Text;

pub(super) const TEXTS: &[Text] = &[
    ("PHI201", "Ids of steps are unique in a workflow."),
    (
        "PHI202",
        "`needs` and `not_same_as` name steps of the same workflow.",
    ),
    (
        "PHI203",
        "The expression names something that does not exist at this place.",
    ),
    (
        "PHI204",
        "Nobody sees into a block from outside: its steps may exist many times, or not at all. \
         What a block hands on is its output, made by its `yield`.",
    ),
    (
        "PHI205",
        "An expression may read a step only if that step comes before, through `needs`. \
         Otherwise it would depend on who is faster.",
    ),
    (
        "PHI206",
        "A state machine names a state that is not there: in `initial`, in `to` of a transition \
         or of a timeout.",
    ),
    (
        "PHI207",
        "The schema or retry policy is not defined in this workflow.",
    ),
    (
        "PHI208",
        "A call names a workflow that is neither in the same file nor deployed, or asks for \
         versions that do not exist.",
    ),
    (
        "PHI209",
        "A call, a schedule or a trigger gives an input that the workflow does not declare, or a \
         call leaves out one that it needs.",
    ),
    (
        "PHI210",
        "Two `foreach` inside each other call their items the same, so that the steps of the \
         inner one cannot read the outer item. Name one with `as` (or its index with `index_as`).",
    ),
    ("PHI211", "Nothing uses the definition."),
    (
        "PHI212",
        "A step's output exists only after the step, so its own expressions cannot read it. In \
         `yield` it is called `result`.",
    ),
    (
        "PHI213",
        "A workflow can name only the secrets of its list `secrets`, and read only the settings \
         that it declares in `config`.",
    ),
    (
        "PHI214",
        "Something waits for an event that no step of the file emits, and one that the file does \
         emit is nearly called the same. If that is a slip, the wait would last until its timeout. \
         Events from outside are nobody's to declare, so nothing is said of other names.",
    ),
    ("PHI215", "The need is there through another need already."),
];
