//! PHI6xx: agents and people.

use super::Text;

pub(super) const TEXTS: &[Text] = &[
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
];
