//! What each code means, in a paragraph and two examples: what `phisync explain` prints.

mod examples;

use crate::diagnostic::code_info;

/// A code in full.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// As `PHI205`.
    pub code: &'static str,
    /// A few words.
    pub subject: &'static str,
    /// Why the compiler says this and what to do.
    pub text: &'static str,
    /// A text that gets the code, and how it reads mended.
    pub example: Option<(&'static str, String)>,
}

/// Why the compiler says this and what to do, `None` for a code of another version.
#[must_use]
pub fn explain(code: &str) -> Option<Explanation> {
    let info = code_info(code)?;
    let at = EXPLANATIONS
        .binary_search_by(|(known, _)| (*known).cmp(code))
        .ok()?;
    Some(Explanation {
        code: info.code,
        subject: info.subject,
        text: EXPLANATIONS[at].1,
        example: examples::example(code),
    })
}

/// Sorted by code.
const EXPLANATIONS: &[(&str, &str)] = &[
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
        "PHI118",
        "Two keys say the same thing in two ways. Keep one.",
    ),
    (
        "PHI119",
        "The key is part of the language and this version of phisync does not run it yet. It is \
         refused, since a workflow without it would do something else.",
    ),
    (
        "PHI120",
        "A comment `# phisync: allow CODE - reason` allows a warning on the next line. Without \
         a known code and a reason it allows nothing.",
    ),
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
    (
        "PHI501",
        "Everything that waits is bounded. Say how long a decision may take, and with \
         `on_timeout` what happens then.",
    ),
    (
        "PHI502",
        "An event may never come. Everything that waits is bounded.",
    ),
    (
        "PHI503",
        "The lease is the longest silence of an agent. Below 5 seconds a hiccup loses the task; \
         longer than `run` it never ends first.",
    ),
    (
        "PHI504",
        "The clocks contain each other: `lease` <= `run` <= `total` <= the workflow's \
         `timeout`.",
    ),
    (
        "PHI505",
        "All attempts and waits together may take longer than `total` allows, so the last ones \
         may never start.",
    ),
    (
        "PHI506",
        "The written clocks along the longest path add up to more than the workflow's \
         `timeout`.",
    ),
    (
        "PHI507",
        "After `timeout.run` or a lost agent nobody knows whether the effect happened. \
         Repeating it is right only if doing it twice is harmless: say `idempotent: true`.",
    ),
    (
        "PHI508",
        "The retry repeats nothing: `max_attempts` counts the first attempt too.",
    ),
    (
        "PHI509",
        "The error code belongs to another kind of step and never occurs here.",
    ),
    (
        "PHI510",
        "A cron expression has five fields (minute, hour, day of month, month, day of week), or \
         six with seconds first, or is one of `@hourly @daily @weekly @monthly @yearly`. `L`, \
         `W` and `#` are not known.",
    ),
    (
        "PHI511",
        "No month named has this day, so the schedule would never start anything.",
    ),
    (
        "PHI512",
        "By the clocks that you wrote, a run may still be open when the next one is due, and \
         `overlap` then skips, queues or replaces.",
    ),
    (
        "PHI513",
        "The time zone is none of the IANA database. Names have the form `Europe/Berlin`.",
    ),
    (
        "PHI514",
        "Where clocks change, one hour of a year does not exist and another exists twice. This \
         schedule fires in one of them; `dst` says what happens: by default it runs after the \
         gap, and once.",
    ),
    (
        "PHI515",
        "Day of month and day of week are both given. As in every cron, either of them is \
         enough: the schedule fires on all those days of the month and on all those weekdays.",
    ),
    (
        "PHI516",
        "Runs that this schedule or trigger starts lack an input that has no default, so none \
         of them could start.",
    ),
    (
        "PHI517",
        "Waits between attempts never get shorter: `factor` is at least 1 and `max_delay` at \
         least `delay`.",
    ),
    (
        "PHI518",
        "The time is over before it is waited for, or a schedule ends before it starts.",
    ),
    (
        "PHI519",
        "The waits between the iterations alone take longer than the workflow may.",
    ),
    (
        "PHI520",
        "All runs have the same concurrency key and wait for each other, however many there \
         are.",
    ),
    (
        "PHI521",
        "Silence counts as consent: nobody has to look before the run goes on.",
    ),
    (
        "PHI601",
        "No agent of this name is declared in `agents.yaml`.",
    ),
    (
        "PHI602",
        "No agent declares the capability, so the task would wait for ever.",
    ),
    (
        "PHI603",
        "Each agent lacks something that the step wants, or is excluded.",
    ),
    (
        "PHI604",
        "The agents that fit take no tasks: their concurrency is 0.",
    ),
    (
        "PHI605",
        "Each of these steps must be done by somebody else than another one, and there are not \
         enough agents that may do them: however they are given out, two of them fall to the \
         same. The search is exact.",
    ),
    (
        "PHI606",
        "One agent alone can do the step. While it is away, the step waits.",
    ),
    (
        "PHI607",
        "The task's type says what an agent must be able to do, and the agent that the step names \
         has not declared it. The name goes before the type, so the agent gets the task all the \
         same. Name one that can do it, or give the agent the capability in `agents.yaml`.",
    ),
    (
        "PHI608",
        "No agent belongs to the pool, so the task would wait for ever. Agents that name none \
         are in the pool `default`.",
    ),
    (
        "PHI609",
        "Who did the work may approve it. Add the step to `not_same_as`.",
    ),
    (
        "PHI610",
        "No person of this name, or with this role, is declared in `agents.yaml`.",
    ),
    (
        "PHI611",
        "The block gives out more tasks at once than the agents that fit take together. The \
         others wait, and `timeouts.queue` runs.",
    ),
    (
        "PHI612",
        "The step is to be done by the agent of another one, which may be skipped or fail, so \
         that there is nobody to be the same.",
    ),
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
        "An instance that runs in the old version may have done this step, or stand in this state. In the \
         new one it would have no place. To rename is to remove and to add.",
    ),
    (
        "PHI905",
        "The step of this name does other work now, so an outcome of the old one would be taken for it, \
         or its `output` does not allow what the old one allowed. Give the new work an id of its own.",
    ),
    (
        "PHI906",
        "What instances relied on when they did the step, that it can be undone, or that it changes \
         little, does not hold any more.",
    ),
    (
        "PHI907",
        "A step that waited for another does not wait for it any more. An instance between the two would \
         stand in a place that the new version does not have.",
    ),
    (
        "PHI908",
        "A new step comes before one that an instance may have finished, so it would never run there.",
    ),
    (
        "PHI909",
        "An instance may have used more iterations, items or visits than the new version allows.",
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::CATALOGUE;

    #[test]
    fn every_code_of_the_catalogue_is_explained() {
        let explained: Vec<&str> = EXPLANATIONS.iter().map(|(code, _)| *code).collect();
        let known: Vec<&str> = CATALOGUE.iter().map(|info| info.code).collect();
        assert_eq!(explained, known);
        assert_eq!(explain("PHI000"), None);
    }

    #[test]
    fn no_example_has_a_change_that_changes_nothing() {
        for code in examples::codes() {
            assert_eq!(examples::stale(code), Vec::<&str>::new(), "{code}");
        }
    }
}
