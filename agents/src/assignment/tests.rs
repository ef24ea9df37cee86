use std::cmp::Reverse;

use proptest::prelude::*;

use super::{Candidate, Offer, ReadyQueue, choose, lacks};

const NAMES: [&str; 4] = ["cmdc", "dc", "kalic", "webc"];
const CAPABILITIES: [&str; 3] = ["code", "research", "write"];

fn offer(key: u32) -> Offer<u32> {
    Offer {
        key,
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
    }
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
    while let Some(key) = queue.best_for(&dc) {
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
    assert_eq!(queue.best_for(&candidate("dc", &[])), None);
    assert_eq!(queue.best_for(&candidate("webc", &[])), Some(1));
}

#[test]
fn an_agent_without_room_or_life_gets_nothing() {
    let mut queue = ReadyQueue::new();
    queue.push(offer(1));
    let free = candidate("dc", &[]);
    assert_eq!(queue.best_for(&free), Some(1));
    assert_eq!(queue.best_for(&Candidate { load: 1, ..free }), None);
    assert_eq!(
        queue.best_for(&Candidate {
            alive: false,
            ..free
        }),
        None
    );
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
    let team = [webc, dc, cmdc];
    assert_eq!(
        choose(&offer(1), &team),
        Some(2),
        "least loaded, then by name"
    );
    let preferring = Offer {
        prefer: names(&["kalic", "webc"]),
        ..offer(1)
    };
    assert_eq!(choose(&preferring, &team), Some(0));
    let busy = Candidate { load: 3, ..webc };
    assert_eq!(
        choose(&preferring, &[busy, dc]),
        Some(1),
        "a preference is not a condition"
    );
    assert_eq!(choose(&offer(1), &[]), None);
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
            "cmdc is not alive, is busy (1 of 1)",
        ]
    );
    assert_eq!(
        told(8),
        [
            "webc is not `dc`",
            "cmdc is not `dc`, is not alive, is busy (1 of 1)",
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
    let what = (0u32..12, some_of(&CAPABILITIES), 0u8..3, 0u64..6, pool);
    (who, what).prop_map(
        |((agent, only, not, exclude, prefer), (key, capabilities, priority, since, pool))| Offer {
            key,
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

proptest! {
    /// Against a search through all offers, for every agent, after every change.
    #[test]
    fn the_best_task_is_the_one_a_full_search_finds(
        changes in prop::collection::vec((any_offer(), any::<bool>()), 0..40),
        abilities in prop::collection::vec(some_of(&CAPABILITIES), NAMES.len()),
    ) {
        let mut queue = ReadyQueue::new();
        let mut plain: Vec<Offer<u32>> = Vec::new();
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
            for (name, capabilities) in NAMES.iter().zip(&abilities) {
                let candidate = candidate(name, capabilities);
                let open = plain.iter().filter(|offer| lacks(offer, &candidate).is_empty());
                let best = open.min_by_key(|offer| (Reverse(offer.priority), offer.since, offer.key));
                prop_assert_eq!(queue.best_for(&candidate), best.map(|offer| offer.key));
            }
        }
    }

    #[test]
    fn the_order_of_the_candidates_does_not_matter(offer in any_offer(), loads in prop::collection::vec((0u32..4, 1u32..4), NAMES.len()), turn in 0usize..4) {
        let able = names(&CAPABILITIES);
        let mut team: Vec<Candidate<'_>> = NAMES.iter().zip(&loads).map(|(name, (load, concurrency))| Candidate {
            load: *load,
            concurrency: *concurrency,
            ..candidate(name, &able)
        }).collect();
        let chosen = choose(&offer, &team).map(|index| team[index].name);
        team.rotate_left(turn);
        prop_assert_eq!(choose(&offer, &team).map(|index| team[index].name), chosen);
    }
}
