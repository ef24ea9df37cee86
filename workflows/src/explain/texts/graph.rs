//! PHI4xx: the graph: steps, states, transitions, branches and loops.

use super::Text;

pub(super) const TEXTS: &[Text] = &[
    (
        "PHI401",
        "Steps wait for each other in a circle, so none of them could ever start.",
    ),
    (
        "PHI402",
        "A run cannot come here. A step waits for one that always fails or ends the run; a handler is \
         behind one that handles everything; no transition leads to a state.",
    ),
    (
        "PHI403",
        "A run that comes to this state stays within a few states for ever: none of their \
         transitions leads to a final one. Lead one there.",
    ),
    (
        "PHI404",
        "A run begins in the state that `initial` names, and ends in one that is `final`.",
    ),
    (
        "PHI405",
        "A state is left by a transition, or it is final and ends the run. One that is neither \
         would hold the run for ever.",
    ),
    (
        "PHI406",
        "Two transitions answer the same and their conditions can be true together, as the \
         example shows. The first in the file is taken. Make them exclude each other, or allow \
         the warning if the order is what you mean. Cases of a `switch` are often written so: \
         there it is a remark.",
    ),
    (
        "PHI407",
        "For an outcome of this state there are transitions, but for the values shown none of \
         their conditions is true, and the run would fail with `state.unhandled`. Add a last \
         transition without `when`, or one for these values. What cannot be decided, as \
         `contains`, counts as a condition that may be false.",
    ),
    (
        "PHI408",
        "Whenever this transition matches, an earlier one does too, and the first in the file \
         is taken. Put the narrower one first, or remove this one.",
    ),
    (
        "PHI409",
        "A run ends in a final state, so nothing is ever answered there. Remove the \
         transitions, or remove `final`.",
    ),
    (
        "PHI410",
        "What is done in the state can end in a way that no transition answers, and the run \
         would fail with `state.unhandled`. Tasks can fail; approvals end with one of their \
         options, or expire.",
    ),
    (
        "PHI411",
        "Somebody has to say what happens when no case is true: a list of steps, `fail`, or \
         `skip`.",
    ),
    (
        "PHI412",
        "Whenever this case is true, an earlier one is too, and the first is chosen. Put the \
         narrower case first.",
    ),
    (
        "PHI413",
        "The join wants more successes than there are needs, or than can succeed.",
    ),
    (
        "PHI414",
        "Nothing that the test reads changes from one iteration to the next, so the loop ends \
         at once or runs until its bound. Test a step inside, `iter`, or a variable that the \
         loop sets.",
    ),
    (
        "PHI415",
        "Everything that repeats is bounded, so that every run ends: a loop by `max`, a cycle of \
         states by `max_visits`.",
    ),
    (
        "PHI416",
        "These states follow each other at once: none of them has an activity that works or \
         waits. A run would spin through them until a bound ends it.",
    ),
    (
        "PHI417",
        "The step waits for the success of one that can only fail or be skipped.",
    ),
    (
        "PHI418",
        "A workflow calls itself, directly or by way of others: its runs would start runs for \
         ever.",
    ),
    (
        "PHI419",
        "Two steps write the same variable and nothing says which comes first, so what is left \
         in it would depend on who is faster. Order them by `needs`. The items of a `foreach` \
         run at once: read the results from its output instead.",
    ),
    (
        "PHI420",
        "A step reads a variable while another one, in no order to it, may write it: sometimes \
         it sees the old value and sometimes the new one.",
    ),
    (
        "PHI421",
        "`join: first` cancels the other needs, so their outputs are mostly absent.",
    ),
    (
        "PHI422",
        "A state machine is in one state at a time, and what is inside a state begins at its \
         beginning. So a transition leads to a state and never to a step: neither to one inside \
         another state nor to one of a handler. Lead it to the state around the step.",
    ),
    (
        "PHI423",
        "So many tasks may be ready at the same time that the queue fills up and timeouts \
         strike. Bound them with `concurrency`.",
    ),
    (
        "PHI424",
        "Two steps change the same file and nothing says which comes first: one of them would \
         lose its change, or fail.",
    ),
    (
        "PHI425",
        "The run waits for a signal that it sends itself, in a step that comes after the wait: \
         it would wait until the timeout.",
    ),
    (
        "PHI426",
        "Conditions are compared by trying all combinations of the values that they tell apart, \
         up to 4,096. Here are more, so nothing is said about gaps and overlaps.",
    ),
];
