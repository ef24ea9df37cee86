//! PHI5xx: time: deadlines, retries and schedules.

use super::Text;

pub(super) const TEXTS: &[Text] = &[
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
];
