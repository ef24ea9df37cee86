//! A wrong and a right example for a code: a fixture of the compiler's own tests, and the changes that
//! mend it. A test compiles both.

/// The fixture that shows the code, and the replacements that make it right.
struct Example {
    code: &'static str,
    wrong: &'static str,
    mend: &'static [(&'static str, &'static str)],
}

/// What is wrong and how it reads mended.
pub(super) fn example(code: &str) -> Option<(&'static str, String)> {
    let example = all().find(|example| example.code == code)?;
    let mut right = example.wrong.to_owned();
    for (from, to) in example.mend {
        right = right.replacen(from, to, 1);
    }
    Some((example.wrong, right))
}

fn all() -> impl Iterator<Item = &'static Example> {
    EXAMPLES.iter().chain(VERSIONS)
}

/// The codes that have an example.
#[cfg(test)]
pub(super) fn codes() -> impl Iterator<Item = &'static str> {
    all().map(|example| example.code)
}

/// Replacements of an example that find nothing to replace.
#[cfg(test)]
pub(super) fn stale(code: &str) -> Vec<&'static str> {
    let Some(example) = all().find(|example| example.code == code) else {
        return Vec::new();
    };
    let mut text = example.wrong.to_owned();
    let mut stale = Vec::new();
    for (from, to) in example.mend {
        if !text.contains(from) {
            stale.push(*from);
        }
        text = text.replacen(from, to, 1);
    }
    stale
}

macro_rules! examples {
    ($folder:literal: $($code:ident => [$($from:literal => $to:literal),* $(,)?];)*) => {
        &[$(Example {
            code: stringify!($code),
            wrong: include_str!(concat!(
                "../../tests/fixtures/", $folder, "/", stringify!($code), ".yaml"
            )),
            mend: &[$(($from, $to)),*],
        }),*]
    };
}

const EXAMPLES: &[Example] = examples! { "invalid":
    PHI001 => ["one: two" => "\"one: two\"", "steps: []" => "steps:\n  - id: plan\n    prompt: Make a plan."];
    PHI002 => ["    prompt: two\n" => ""];
    PHI003 => ["  d: &d [*c, *c, *c, *c, *c, *c, *c, *c, *c, *c]\n  e: &e [*d, *d, *d, *d, *d, *d, *d, *d, *d, *d]\n" => "",
        "  b: &b [*a, *a, *a, *a, *a, *a, *a, *a, *a, *a]\n  c: &c [*b, *b, *b, *b, *b, *b, *b, *b, *b, *b]" => "  b: [*a, *a]"];
    PHI004 => ["    <<: *m\n" => ""];
    PHI005 => ["title: on" => "title: \"on\"", "2024-01-31" => "\"2024-01-31\""];
    PHI006 => ["  1: one\n  ? [a, b]\n  : two" => "  \"1\": one\n  \"a, b\": two"];
    PHI007 => ["if: !steps.plan.output.ok" => "if: \"!steps.plan.output.ok\""];
    PHI008 => ["[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]" => "[[[]]]"];
    PHI009 => ["a\0b" => "a b"];
    PHI010 => ["---\nworkflow: sample" => "---\nworkflow: another"];
    PHI101 => ["descripton" => "description", "    colour: red\n" => "", "tiemout" => "timeout"];
    PHI102 => ["title: Nothing else" => "workflow: sample\ntitle: Something else\nsteps:\n  - id: plan\n    prompt: Make a plan."];
    PHI103 => ["title: 42" => "title: \"42\"", "  - plan\n" => "", "{ text: Make a plan. }" => "Make a plan.", "maybe" => "true"];
    PHI104 => ["reed" => "read", "400" => "high", "max_attempts: 0" => "max_attempts: 2", "transiet" => "transient"];
    PHI106 => ["title: Does nothing" => "prompt: Does something.", "    fail: { code: app.two }\n" => ""];
    PHI107 => ["    timeout: 5m\n    retry: transient\n" => "", "    on_failure: continue\n" => ""];
    PHI108 => ["prompt:\n    needs:\n    assign: \"\"" => "prompt: Make a plan.\n    assign: DC"];
    PHI109 => ["My Workflow" => "my-workflow", "makePlan" => "make_plan"];
    PHI110 => ["  loop: string" => "  rounds: string", "transient:" => "patient:"];
    PHI111 => ["1 day" => "1d", "run: 5," => "run: 5m,", "P1M" => "1h"];
    PHI112 => ["1.2" => "\"1.2.0\""];
    PHI113 => ["left: Tree" => "left: string"];
    PHI114 => ["default: many" => "default: 3"];
    PHI115 => ["phisync: 2" => "phisync: 1"];
    PHI116 => ["        needs: build\n" => "", ", join: any" => ""];
    PHI117 => ["compat: { adopt: never }\n" => ""];
    PHI118 => ["    prompt: Make a plan.\n    timeout: 5m\n" => ""];
    PHI120 => ["# phisync: allow PHI701\n" => ""];
    PHI201 => ["assign: DC\n  - id: plan" => "assign: DC\n  - id: second_plan"];
    PHI202 => ["[reveiw, elsewhere]" => "review"];
    PHI203 => ["input.topic" => "inputs.topic", "plam" => "plan"];
    PHI204 => ["    needs: [release, each]\n    prompt: \"Tell ${{ steps.build.output.sha }} and ${{ json(steps.visit.output) }}.\"" => "    needs: [release, each]\n    prompt: \"Tell ${{ json(steps.release.output) }} and ${{ json(steps.each.output) }}.\"", "${{ json(steps.one.output) }}" => "nothing"];
    PHI205 => ["    needs: web\n" => "    needs: [web, papers]\n", "  - id: digest\n" => "  - id: digest\n    needs: article\n", "needs: [papers]" => "needs: [papers, web]"];
    PHI206 => ["opne" => "open", "escalated" => "closed", "clsoed" => "closed"];
    PHI207 => ["output: Findng" => "output: Finding", "transiant" => "transient"];
    PHI208 => ["reprot" => "report", "^2" => "^1", "something-else" => "report"];
    PHI209 => ["dasy" => "days", ", format: pdf" => "", "{ day: 2 }" => "{ days: 2 }"];
    PHI210 => ["            in: item\n" => "            in: item\n            as: member\n            index_as: place\n", "Greet ${{ item }}" => "Greet ${{ member }}"];
    PHI211 => ["  Unused: string\nretry_policies:\n  patient: { max_attempts: 9 }\n" => ""];
    PHI212 => ["${{ json(steps.plan.output) }}" => "the plan that you find."];
    PHI213 => ["scaner_token" => "scanner_token", "regoin" => "region"];
    PHI214 => ["build.finish," => "build.finished,", "event: build.finishd\n" => "event: build.finished\n"];
    PHI215 => ["needs: [plan, work]" => "needs: work"];
    PHI301 => [" &&" => "", "1 + }}" => "1 + 1 }}"];
    PHI302 => ["${{ inputs.topic" => "$${{ inputs.topic", "and }} more" => "and more"];
    PHI303 => ["jsn(" => "json(", "json() " => "json(run.now) "];
    PHI304 => ["output.txt" => "output.text", "run.idd" => "run.id"];
    PHI305 => ["Report on ${{ steps.research.output.text }}" => "Report on ${{ steps.research.?output.text.orValue('nothing') }}"];
    PHI306 => ["inputs.count.startsWith" => "string(inputs.count).startsWith", "contains(inputs.count)" => "contains(string(inputs.count))"];
    PHI307 => ["if: inputs.topic" => "if: inputs.topic != ''"];
    PHI308 => ["files: string" => "files: string[]"];
    PHI309 => ["${{ inputs.files }}" => "${{ inputs.files.join(', ') }}"];
    PHI310 => ["inputs.count + 'x'" => "string(inputs.count) + 'x'"];
    PHI311 => ["    if: 1 == 2\n" => ""];
    PHI312 => ["Report for ${{ inputs.topic }}" => "Report"];
    PHI313 => ["${{ inputs.deep }} == true" => "inputs.deep == true"];
    PHI314 => ["now()" => "run.now"];
    PHI315 => ["maxItems: 500" => "maxItems: 100", "free: int[]" => "free: { type: array, items: { type: integer }, maxItems: 20 }"];
    PHI316 => ["/ 0" => "/ 2"];
    PHI317 => ["[a-" => "[a-z]"];
    PHI318 => ["99999999999999999999" => "999999"];
    PHI319 => ["    prompt: Make a plan.\n    assign: DC\n" => "    prompt: Make a plan.\n    assign: DC\n    output: { type: object, required: [text], properties: { text: string } }\n"];
    PHI401 => ["    needs: b\n" => "", "[c, a]" => "a", "needs: [d]" => "needs: a", "    needs: own\n" => ""];
    PHI402 => ["    needs: plan\n    fail" => "    needs: plan\n    if: steps.plan.attempts > 1\n    fail"];
    PHI403 => ["      - { outcome: succeeded, to: rework }\n" => "      - { outcome: succeeded, to: done }\n", "  given_up: {" => "  done: { final: completed }\n  given_up: {"];
    PHI404 => ["states:\n" => "initial: open\nstates:\n"];
    PHI405 => ["  stuck:\n    activity: { prompt: Say what went wrong., assign: DC }\n" => "  stuck: { final: failed, error: { code: app.stuck } }\n"];
    PHI406 => ["when: state.output.words > 1000" => "when: \"state.output.words > 1000 && state.output.topic != 'news'\""];
    PHI407 => ["state.output.verdict == 'short'" => "state.output.verdict != 'good'", ", errors: [timeout]" => ""];
    PHI408 => ["      - { outcome: succeeded, when: state.output.words > 1000, to: failed }\n" => "", "      - { outcome: succeeded, to: failed }\n      - { outcome: succeeded, to: done }\n      - { outcome: failed, to: failed }\n      - { outcome: failed, errors: [timeout.run], to: done }\n" => "      - { outcome: succeeded, to: failed }\n      - { outcome: failed, errors: [timeout.run], to: done }\n      - { outcome: failed, to: failed }\n"];
    PHI409 => ["    transitions:\n      - { signal: again, to: draft }\n" => ""];
    PHI410 => ["{ outcome: succeeded, to: review }" => "{ outcome: succeeded, to: review }\n      - { outcome: failed, to: done }", "{ outcome: approve, to: done }" => "{ outcome: approve, to: done }\n      - { outcome: rework, to: done }"];
    PHI411 => ["    switch:\n" => "    switch:\n      default: fail\n"];
    PHI412 => ["        - id: long\n          when: inputs.words > 100\n          do: []\n        - id: very_long\n          when: inputs.words > 1000\n          do: []\n" => "        - id: very_long\n          when: inputs.words > 1000\n          do: []\n        - id: long\n          when: inputs.words > 100 && inputs.words <= 1000\n          do: []\n"];
    PHI413 => ["at_least: 2" => "at_least: 1"];
    PHI414 => ["until: inputs.rounds > 3" => "until: iter.index > inputs.rounds"];
    PHI415 => ["      until:" => "      max: 3\n      until:"];
    PHI416 => ["  again:\n" => "  again:\n    activity: { wait: 1m }\n"];
    PHI417 => ["    if: steps.stop.outcome == 'succeeded'\n" => ""];
    PHI418 => ["    call: ping\n" => "    prompt: Ping back.\n", "call: { workflow: mirror }" => "prompt: Look into the mirror."];
    PHI419 => ["  - id: judge\n" => "  - id: judge\n    needs: look\n", "      in: inputs.files\n" => "      in: inputs.files\n      concurrency: 1\n"];
    PHI420 => ["  - id: tell\n" => "  - id: tell\n    needs: judge\n"];
    PHI421 => ["    join: first\n" => ""];
    PHI422 => ["to: test }" => "to: build }"];
    PHI423 => ["concurrency: 64" => "concurrency: 8"];
    PHI424 => ["  - id: index\n" => "  - id: index\n    needs: notes\n"];
    PHI425 => ["    needs: ready\n" => ""];
    PHI426 => [" && inputs.free.f2 && inputs.free.f3 && inputs.free.f4 && inputs.free.f5 && inputs.free.f6 && inputs.free.f7 && inputs.free.f8 && inputs.free.f9 && inputs.free.f10 && inputs.free.f11 && inputs.free.f12" => ""];
    PHI501 => ["      prompt: Publish?" => "      prompt: Publish?\n      timeout: 24h"];
    PHI502 => ["      event: deploy.finished" => "      event: deploy.finished\n      timeout: 2h"];
    PHI503 => ["lease: 2s" => "lease: 20s", "lease: 1m" => "lease: 10s"];
    PHI504 => ["total: 10m" => "total: 30m", "timeout: 2h" => "timeout: 30m"];
    PHI505 => ["total: 15m" => "total: 2h"];
    PHI506 => ["timeout: 2h" => "timeout: 1d"];
    PHI507 => ["[transient, timeout]" => "[transient]"];
    PHI508 => ["max_attempts: 1" => "max_attempts: 3", "errors: []" => "errors: [transient]"];
    PHI509 => ["approval.rejected" => "transient"];
    PHI510 => ["30 25 * * *" => "30 2 * * *", "0 0 L * *" => "0 0 28 * *"];
    PHI511 => ["30 2 *" => "28 2 *"];
    PHI512 => ["every: 5m" => "every: 1h"];
    PHI513 => ["Berlim" => "Berlin"];
    PHI514 => ["30 2 *" => "30 4 *"];
    PHI515 => ["13 * FRI" => "13 * *"];
    PHI516 => ["input: { days: 1 }" => "input: { days: 1, topic: otters }", "  - event: report.wanted\n" => "  - event: report.wanted\n    input: { days: 7, topic: \"${{ string(event.data.topic) }}\" }\n"];
    PHI517 => ["max_delay: 10s, factor: 0.5" => "max_delay: 5m, factor: 2"];
    PHI518 => ["2030-01-01" => "2030-03-01", "2020-01-01" => "2040-01-01"];
    PHI519 => ["delay: 1m\n      backoff: 2" => "delay: 1m"];
    PHI520 => ["max: 1" => "max: 1, on_conflict: reject"];
    PHI521 => ["on_timeout: approve" => "on_timeout: reject"];
    PHI601 => ["WEBCC" => "WEBC", "NOBODY" => "DC"];
    PHI602 => ["reserch" => "research"];
    PHI603 => ["[security, web]" => "[web]"];
    PHI604 => ["IDLE" => "DC"];
    PHI605 => ["agents: [WEBC]" => "agents: [DC]"];
    PHI606 => ["security" => "review"];
    PHI607 => ["assign: WEBC" => "assign: KALIC", "agent: CMDC" => "agent: KALIC"];
    PHI608 => ["defalt" => "default"];
    PHI609 => ["agents: [DC]" => "agents: [DC, WEBC]", "      timeout: 1h" => "      timeout: 1h\n      not_same_as: [plan]"];
    PHI610 => ["editr" => "editor", "nobody" => "dana"];
    PHI611 => ["concurrency: 8" => "concurrency: 2"];
    PHI612 => ["    if: inputs.deep\n" => ""];
    PHI701 => ["    effects: write\n" => "    effects: write\n    compensate: { prompt: Delete the branch. }\n"];
    PHI702 => ["    compensate: { prompt: Look away. }\n" => ""];
    PHI703 => ["  - id: merge\n    prompt: Merge.\n    effects: irreversible\n  - id: announce\n    needs: merge\n    prompt: Announce.\n" => "  - id: announce\n    prompt: Announce.\n    effects: none\n  - id: merge\n    needs: announce\n    prompt: Merge.\n    effects: irreversible\n"];
    PHI704 => ["self.output.name" => "self.?output.name.orValue('')"];
    PHI705 => ["idempotent: false" => "idempotent: true", "      retry: { max_attempts: 3 }\n" => "      idempotent: true\n      retry: { max_attempts: 3 }\n"];
    PHI706 => ["      approval: { from: { users: [dana] }, timeout: 1h }" => "      prompt: Delete the branch."];
    PHI707 => ["          on_failure: continue\n" => ""];
    PHI708 => ["../secrets.txt" => "secrets.txt", "/etc/motd" => "motd"];
    PHI709 => ["path: a.md, op: write, content: two" => "path: b.md, op: write, content: two"];
    PHI710 => ["content: one }" => "content: one, expect: { exists: false } }"];
    PHI711 => ["apj" => "api"];
    PHI712 => ["      root: docs\n" => "      root: docs\n      allow: [\"notes/**\"]\n"];
    PHI713 => ["    task: unlock\n" => "    task: unlock\n    on_failure: continue\n"];
    PHI714 => ["            compensate: { prompt: Cancel the seat., assign: WEBC }\n" => "            compensate: none\n"];
    PHI801 => ["https://robot:correct-horse@example.org/data with AKIAABCDEFGHIJKLMNOP" => "https://example.org/data"];
    PHI802 => ["    prompt: \"Scan it with ${{ secrets.scanner_token }}.\"" => "    task: { type: scan, prompt: Scan it., secrets: [scanner_token] }"];
    PHI803 => ["    prompt: Deploy ${{ steps.research.output.release }}.\n" => "    prompt: Deploy the release.\n    input: { release: \"${{ steps.research.output.release }}\" }\n"];
    PHI804 => ["\"**\"" => "\"notes/**\""];
    PHI805 => ["inputs: { alert: any }" => "inputs: { alert: { type: object, required: [id], properties: { id: string } } }", "json(inputs.alert)" => "inputs.alert.id"];
};

/// Two documents each: the old version and the new one.
const VERSIONS: &[Example] = examples! { "diff":
    PHI901 => ["  tone: string\n" => "  tone: { type: string, default: dry }\n"];
    PHI902 => ["maximum: 10" => "maximum: 20"];
    PHI903 => ["---\nworkflow: sample\n" => "---\nworkflow: sample\noutputs:\n  text: ${{ steps.plan.output }}\n"];
    PHI904 => ["id: plan_all" => "id: plan"];
    PHI905 => ["task: make.outline" => "task: make.plan"];
    PHI906 => ["compensate: none" => "compensate: { task: git.delete_branch }"];
    PHI907 => ["  - id: report\n    prompt: Report at once." => "  - id: report\n    needs: plan\n    prompt: Report at once."];
    PHI908 => ["    needs: check\n" => "    needs: plan\n"];
    PHI909 => ["max: 2" => "max: 5"];
    PHI910 => ["event: build.done" => "event: build.finished"];
    PHI911 => ["version: \"1.0.1\"" => "version: \"1.1.0\""];
};
