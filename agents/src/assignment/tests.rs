//! Who gets which task: by rule, and against all ways to give them out.

use std::collections::BTreeSet;
use std::time::Duration;

use proptest::prelude::*;

use super::{AGEING, Candidate, Offer, ReadyQueue, Waiting, lacks};

const NAMES: [&str; 4] = ["cmdc", "dc", "kalic", "webc"];
const CAPABILITIES: [&str; 3] = ["code", "research", "write"];

fn offer(key: u32) -> Offer<u32> {
    Offer {
        key,
        limited: None,
        agent: None,
        pool: None,
        capabilities: Vec::new(),
        exclude: Vec::new(),
        prefer: Vec::new(),
        only: None,
        not: None,
        priority: 50,
        since: u64::from(key),
    }
}

fn candidate<'a>(name: &'a str, capabilities: &'a [String]) -> Candidate<'a> {
    Candidate {
        name,
        pool: if name < "k" { "default" } else { "fast" },
        capabilities,
        load: 0,
        concurrency: 1,
        alive: true,
        drained: false,
        resting: None,
    }
}

/// Every type of task is open.
fn open() -> BTreeSet<String> {
    BTreeSet::new()
}

fn waiting(team: &[Candidate<'_>]) -> Waiting {
    let mut waiting = Waiting::new();
    team.iter().for_each(|candidate| waiting.seat(candidate));
    waiting
}

/// What [`Waiting::choose`] must answer, by looking at everybody.
fn best_of_all(offer: &Offer<u32>, team: &[Candidate<'_>]) -> Option<String> {
    let preference = |name: &str| {
        let position = offer.prefer.iter().position(|preferred| preferred == name);
        position.unwrap_or(usize::MAX)
    };
    let able = team
        .iter()
        .filter(|candidate| lacks(offer, candidate).is_empty());
    let best = able.min_by(|a, b| {
        let load = |of: &Candidate<'_>, other: &Candidate<'_>| {
            u64::from(of.load) * u64::from(other.concurrency)
        };
        preference(a.name)
            .cmp(&preference(b.name))
            .then_with(|| load(a, b).cmp(&load(b, a)))
            .then_with(|| a.name.cmp(b.name))
    });
    best.map(|candidate| candidate.name.to_owned())
}

/// Where an offer stands in the queue at any time: the more it is worth, the earlier.
fn worth(offer: &Offer<u32>, now: u64) -> i128 {
    let ageing = AGEING.as_micros().cast_signed();
    i128::from(offer.priority) * ageing + i128::from(now) - i128::from(offer.since)
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn priority_goes_before_age_and_age_before_chance() {
    let mut queue = ReadyQueue::new();
    queue.push(Offer {
        priority: 10,
        ..offer(1)
    });
    queue.push(offer(3));
    queue.push(offer(2));
    queue.push(Offer {
        priority: 90,
        ..offer(4)
    });
    let dc = candidate("dc", &[]);
    let mut order = Vec::new();
    while let Some(key) = queue.best_for(&dc, &open()) {
        assert!(queue.remove(&key));
        order.push(key);
    }
    assert_eq!(order, [4, 2, 3, 1]);
    assert!(queue.is_empty());
}

#[test]
fn pushing_a_key_again_replaces_its_offer() {
    let mut queue = ReadyQueue::new();
    queue.push(Offer {
        agent: Some("dc".to_owned()),
        ..offer(1)
    });
    queue.push(Offer {
        agent: Some("webc".to_owned()),
        ..offer(1)
    });
    assert_eq!(queue.len(), 1);
    assert_eq!(queue.best_for(&candidate("dc", &[]), &open()), None);
    assert_eq!(queue.best_for(&candidate("webc", &[]), &open()), Some(1));
}

#[test]
fn an_agent_without_room_or_life_gets_nothing() {
    let mut queue = ReadyQueue::new();
    queue.push(offer(1));
    let free = candidate("dc", &[]);
    let best = |candidate: &Candidate<'_>| queue.best_for(candidate, &open());
    assert_eq!(best(&free), Some(1));
    assert_eq!(best(&Candidate { load: 1, ..free }), None);
    let dead = Candidate {
        alive: false,
        ..free
    };
    assert_eq!(best(&dead), None);
    let drained = Candidate {
        drained: true,
        ..free
    };
    assert_eq!(best(&drained), None);
    let resting = Candidate {
        resting: Some(Duration::from_millis(1)),
        ..free
    };
    assert_eq!(best(&resting), None);
}

#[test]
fn a_type_that_reached_its_limit_is_passed_over() {
    let mut queue = ReadyQueue::new();
    let deploy = Some("deploy".to_owned());
    for key in [5, 2] {
        queue.push(Offer {
            limited: deploy.clone(),
            ..offer(key)
        });
    }
    queue.push(offer(7));
    let dc = candidate("dc", &[]);
    let closed = BTreeSet::from(["deploy".to_owned()]);
    assert_eq!(queue.best_for(&dc, &closed), Some(7));
    assert_eq!(queue.best_for(&dc, &open()), Some(2));
    queue.push(Offer {
        limited: deploy,
        pool: Some("fast".to_owned()),
        ..offer(3)
    });
    assert_eq!(queue.heads_of_type("deploy"), [2, 3]);
    assert_eq!(queue.in_order([7, 9, 5, 2]), [2, 5, 7], "9 does not wait");
}

#[test]
fn a_task_goes_before_one_that_is_more_urgent_by_less_than_its_age() {
    let mut queue = ReadyQueue::new();
    let ageing = u64::try_from(AGEING.as_micros()).expect("short");
    for (key, priority, since) in [
        (1, 50, 10 * ageing),
        (2, 60, 20 * ageing + 1),
        (3, 60, 20 * ageing - 1),
    ] {
        queue.push(Offer {
            priority,
            since,
            ..offer(key)
        });
    }
    assert_eq!(queue.in_order([1, 2, 3]), [3, 1, 2]);
}

#[test]
fn preference_goes_before_load_and_load_counts_for_its_size() {
    let webc = Candidate {
        load: 2,
        concurrency: 3,
        ..candidate("webc", &[])
    };
    let dc = Candidate {
        load: 1,
        concurrency: 2,
        ..candidate("dc", &[])
    };
    let cmdc = Candidate {
        load: 1,
        concurrency: 2,
        ..candidate("cmdc", &[])
    };
    let team = waiting(&[webc, dc, cmdc]);
    assert_eq!(
        team.choose(&offer(1)),
        Some("cmdc"),
        "least loaded, then by name"
    );
    let preferring = Offer {
        prefer: names(&["kalic", "webc"]),
        ..offer(1)
    };
    assert_eq!(team.choose(&preferring), Some("webc"));
    let busy = Candidate { load: 3, ..webc };
    assert_eq!(
        waiting(&[busy, dc]).choose(&preferring),
        Some("dc"),
        "a preference is not a condition"
    );
    assert_eq!(Waiting::new().choose(&offer(1)), None);
}

#[test]
fn what_an_agent_lacks_is_said_in_words() {
    let demanding = Offer {
        capabilities: names(&["code", "pentest"]),
        exclude: names(&["webc"]),
        not: Some("dc".to_owned()),
        ..offer(7)
    };
    let mut queue = ReadyQueue::new();
    queue.push(demanding);
    queue.push(Offer {
        agent: Some("dc".to_owned()),
        only: Some("dc".to_owned()),
        ..offer(8)
    });
    let code = names(&["code"]);
    let both = names(&["code", "pentest"]);
    let team = [
        candidate("dc", &both),
        candidate("webc", &code),
        Candidate {
            load: 1,
            alive: false,
            drained: true,
            resting: Some(Duration::from_millis(11_001)),
            ..candidate("cmdc", &both)
        },
        candidate("kalic", &both),
    ];
    let told = |key| {
        let lacks = queue.lacks(&key, &team);
        lacks
            .into_iter()
            .map(|(name, why)| format!("{name} {why}"))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        told(7),
        [
            "dc did the last attempt, and the next is for another",
            "webc is excluded, lacks the capability `pentest`",
            "cmdc is not alive, is drained, is busy (1 of 1), has used up its rate for 12s",
        ]
    );
    assert_eq!(
        told(8),
        [
            "webc is not `dc`",
            "cmdc is not `dc`, is not alive, is drained, is busy (1 of 1), has used up its rate for 12s",
            "kalic is not `dc`",
        ]
    );
    assert_eq!(told(9), Vec::<String>::new());
}

fn some_name() -> impl Strategy<Value = Option<String>> {
    prop::option::weighted(
        0.3,
        prop::sample::select(&NAMES[..]).prop_map(str::to_owned),
    )
}

fn some_of(all: &'static [&'static str]) -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec(prop::sample::select(all).prop_map(str::to_owned), 0..3)
}

fn any_offer() -> impl Strategy<Value = Offer<u32>> {
    let who = (
        some_name(),
        some_name(),
        some_name(),
        some_of(&NAMES),
        some_of(&NAMES),
    );
    let pool = prop::option::of(prop::sample::select(&["default", "fast"][..]));
    let limited = prop::option::of(prop::sample::select(&["deploy", "scan"][..]));
    // Ages of a few points of priority.
    let since = (0u64..6).prop_map(|steps| steps * 20_000_000);
    let what = (
        0u32..12,
        some_of(&CAPABILITIES),
        0u8..3,
        since,
        pool,
        limited,
    );
    (who, what).prop_map(
        |(
            (agent, only, not, exclude, prefer),
            (key, capabilities, priority, since, pool, limited),
        )| Offer {
            key,
            limited: limited.map(str::to_owned),
            agent,
            pool: pool.map(str::to_owned),
            capabilities,
            exclude,
            prefer,
            only,
            not,
            priority,
            since,
        },
    )
}

/// Agents of every kind: loaded, full, drained, resting.
fn any_team() -> impl Strategy<Value = Vec<(Vec<String>, u32, u32, bool, bool)>> {
    let one = (
        some_of(&CAPABILITIES),
        0u32..4,
        1u32..4,
        prop::bool::weighted(0.1),
        prop::bool::weighted(0.1),
    );
    prop::collection::vec(one, NAMES.len())
}

fn team_of(kinds: &[(Vec<String>, u32, u32, bool, bool)]) -> Vec<Candidate<'_>> {
    let members = NAMES.iter().zip(kinds);
    let members = members.map(
        |(name, (can, load, concurrency, drained, resting))| Candidate {
            load: *load,
            concurrency: *concurrency,
            drained: *drained,
            resting: resting.then_some(Duration::from_secs(1)),
            ..candidate(name, can)
        },
    );
    members.collect()
}

proptest! {
    /// Against a search through all offers, for every agent, after every change.
    #[test]
    fn the_best_task_is_the_one_a_full_search_finds(
        changes in prop::collection::vec((any_offer(), any::<bool>()), 0..40),
        kinds in any_team(),
        closed in prop::option::of(Just("deploy".to_owned())),
        now in 0u64..1 << 40,
    ) {
        let mut queue = ReadyQueue::new();
        let mut plain: Vec<Offer<u32>> = Vec::new();
        let closed: BTreeSet<String> = closed.into_iter().collect();
        for (offer, push) in changes {
            let known = plain.iter().any(|other| other.key == offer.key);
            plain.retain(|other| other.key != offer.key);
            if push {
                plain.push(offer.clone());
                queue.push(offer);
            } else {
                prop_assert_eq!(queue.remove(&offer.key), known);
            }
            prop_assert_eq!(queue.len(), plain.len());
            for candidate in team_of(&kinds) {
                let open = plain.iter().filter(|offer| lacks(offer, &candidate).is_empty());
                let open = open.filter(|offer| offer.limited.as_ref().is_none_or(|kind| !closed.contains(kind)));
                let best = open.min_by_key(|offer| (-worth(offer, now), offer.key));
                prop_assert_eq!(queue.best_for(&candidate, &closed), best.map(|offer| offer.key));
            }
        }
    }

    /// Against a look at everybody, after every change of who waits.
    #[test]
    fn the_best_agent_is_the_one_a_look_at_everybody_finds(
        offers in prop::collection::vec(any_offer(), 1..8),
        teams in prop::collection::vec((any_team(), prop::collection::vec(any::<bool>(), NAMES.len())), 1..8),
    ) {
        let mut index = Waiting::new();
        for (kinds, here) in teams {
            let team = team_of(&kinds);
            let mut present = Vec::new();
            for (candidate, here) in team.iter().zip(here) {
                if here {
                    index.seat(candidate);
                    present.push(*candidate);
                } else {
                    index.remove(candidate.name);
                }
            }
            for offer in &offers {
                prop_assert_eq!(index.choose(offer).map(str::to_owned), best_of_all(offer, &present));
            }
        }
    }

    /// However urgent what comes later: nothing that became ready so much later goes first.
    #[test]
    fn nothing_starves(
        patient in (0u8..=100, 0u64..1 << 32),
        rivals in prop::collection::vec((0u8..=100, 0u64..1 << 33), 1..50),
    ) {
        let mut queue = ReadyQueue::new();
        let (priority, since) = patient;
        queue.push(Offer { priority, since, ..offer(0) });
        let all_points = u64::try_from(AGEING.as_micros()).expect("short") * 100;
        let mut first = 0;
        for (key, (priority, since)) in (1..).zip(&rivals) {
            queue.push(Offer { priority: *priority, since: *since, ..offer(key) });
            first += usize::from(*since <= patient.1 + all_points);
        }
        let dc = candidate("dc", &[]);
        let mut taken = 0;
        while let Some(key) = queue.best_for(&dc, &open()) {
            if key == 0 {
                break;
            }
            queue.remove(&key);
            taken += 1;
        }
        prop_assert!(taken <= first, "{} went before it, {} may", taken, first);
    }
}
