//! The phi-accrual detector: N. Hayashibara, X. Defago, R. Yared, T. Katayama, "The phi Accrual Failure
//! Detector", SRDS 2004.
//!
//! Phi is minus the decimal logarithm of the probability that an agent as regular as this one is
//! merely late: 1 means one chance in ten, 8 one in a hundred million. The gaps between its
//! signs of life are taken as normally distributed.
//!
//! Bare statistics would be too sure of themselves, so: too few gaps count for nothing and the declared
//! silence decides; a very regular agent is granted some spread; and whatever the numbers say,
//! nobody is dead before a quarter of the declared silence nor alive after all of it.

use std::collections::VecDeque;
use std::time::Duration;

use super::{Limits, deadline};

/// From this phi on an agent is suspect.
pub const SUSPECT: f64 = 3.0;

/// From this phi on an agent is dead.
pub const DEAD: f64 = 8.0;

/// How many gaps are remembered: the last ones, since rhythms change with the work.
const WINDOW: usize = 200;

/// With fewer gaps than this, nothing can be said about a rhythm.
const GAPS_MIN: usize = 8;

/// Signs of life closer together than this are one: a report and the poll after it say nothing about
/// a rhythm, and would make the next ordinary gap look long.
const BURST: Duration = Duration::from_millis(250);

/// The least spread that is assumed, as a part of the mean.
const SPREAD_MIN: f64 = 0.25;

/// The gaps between an agent's signs of life.
#[derive(Clone, Debug, Default)]
pub struct Arrivals {
    gaps: VecDeque<Duration>,
}

/// The numbers behind an opinion.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rhythm {
    /// Mean of the gaps.
    pub mean: Duration,
    /// Their standard deviation, with the least that is assumed.
    pub deviation: Duration,
    /// How many there are.
    pub gaps: usize,
}

impl Arrivals {
    /// Notes that the agent was heard of `gap` after the last time.
    pub fn record(&mut self, gap: Duration) {
        if gap < BURST {
            return;
        }
        if self.gaps.len() == WINDOW {
            self.gaps.pop_front();
        }
        self.gaps.push_back(gap);
    }

    /// Mean and spread; `None` while there are too few gaps to speak of.
    #[must_use]
    pub fn rhythm(&self) -> Option<Rhythm> {
        if self.gaps.len() < GAPS_MIN {
            return None;
        }
        let count = f64::from(u32::try_from(self.gaps.len()).ok()?);
        let seconds = || self.gaps.iter().map(Duration::as_secs_f64);
        let mean = seconds().sum::<f64>() / count;
        let variance = seconds().map(|gap| (gap - mean).powi(2)).sum::<f64>() / count;
        let deviation = variance.sqrt().max(mean * SPREAD_MIN);
        Some(Rhythm {
            mean: bounded(mean),
            deviation: bounded(deviation),
            gaps: self.gaps.len(),
        })
    }
}

impl Rhythm {
    /// How sure one may be that the agent is dead after `silence`. Finite and never negative; grows
    /// with the silence.
    #[must_use]
    pub fn phi(&self, silence: Duration) -> f64 {
        let deviation = self.deviation.as_secs_f64().max(f64::MIN_POSITIVE);
        phi((silence.as_secs_f64() - self.mean.as_secs_f64()) / deviation)
    }

    /// The silence at which phi reaches `threshold`.
    fn silence_at(&self, threshold: f64) -> Duration {
        // Phi of 40 deviations is far beyond any threshold. Halving 60 times leaves less than a
        // nanosecond of a day.
        let (mut below, mut above) = (0.0_f64, 40.0_f64);
        for _ in 0..60 {
            let middle = f64::midpoint(below, above);
            if phi(middle) < threshold {
                below = middle;
            } else {
                above = middle;
            }
        }
        bounded(self.mean.as_secs_f64() + above * self.deviation.as_secs_f64())
    }
}

/// Phi of a silence that lies `y` deviations above the mean: minus the logarithm of the tail of the
/// normal distribution, after P. O. Borjesson, C.-E. W. Sundberg, "Simple Approximations of the Error
/// Function Q(x)", IEEE Transactions on Communications, 1979. Right to within 3 % of the tail.
fn phi(y: f64) -> f64 {
    use std::f64::consts::{FRAC_1_PI, LN_10, TAU};
    let x = y.abs();
    let mills = (1.0 - FRAC_1_PI) * x + FRAC_1_PI * (x * x + TAU).sqrt();
    // The natural logarithm of the tail beyond x, which is too small to be written down as itself.
    let beyond = -(x * x / 2.0 + TAU.sqrt().ln() + mills.ln());
    let tail = if y < 0.0 {
        (-beyond.exp()).ln_1p()
    } else {
        beyond
    };
    -tail / LN_10
}

fn bounded(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
}

/// The limits of an agent with these arrivals that was declared to be dead after `silence`.
#[must_use]
pub fn limits(arrivals: &Arrivals, silence: Duration) -> Limits {
    let Some(rhythm) = arrivals.rhythm() else {
        return deadline::limits(silence);
    };
    let dead = rhythm.silence_at(DEAD).clamp(silence / 4, silence);
    let suspect = rhythm.silence_at(SUSPECT).min(dead);
    Limits { suspect, dead }
}

#[cfg(test)]
mod tests {
    use super::{Arrivals, DEAD, limits, phi};
    use crate::detector::deadline;
    use proptest::prelude::*;
    use std::time::Duration;

    fn heard(gaps: impl IntoIterator<Item = u64>) -> Arrivals {
        let mut arrivals = Arrivals::default();
        for millis in gaps {
            arrivals.record(Duration::from_millis(millis));
        }
        arrivals
    }

    /// The tail of the normal distribution: 0, 1, 2, 3 and 6 deviations late, and one early.
    #[test]
    fn phi_is_the_logarithm_of_being_merely_late() {
        for (y, tail) in [
            (0.0, 0.5),
            (1.0, 0.158_655),
            (2.0, 0.022_750),
            (3.0, 0.001_350),
            (6.0, 9.866e-10_f64),
            (-1.0, 0.841_345),
        ] {
            let wanted = -f64::log10(tail);
            // The approximation is good to a few per cent far out, which moves a limit by less.
            assert!(
                (phi(y) - wanted).abs() < 0.05 + wanted * 0.06,
                "{y}: {} {wanted}",
                phi(y)
            );
        }
    }

    #[test]
    fn a_regular_agent_is_found_dead_long_before_the_declared_silence() {
        let arrivals = heard([5000; 50]);
        let limits = limits(&arrivals, Duration::from_secs(60));
        assert!(limits.dead < Duration::from_secs(16), "{limits:?}");
        assert!(limits.dead > Duration::from_secs(10), "{limits:?}");
        assert!(limits.suspect < limits.dead);
    }

    #[test]
    fn an_irregular_agent_is_granted_more_time() {
        let silence = Duration::from_secs(40);
        let regular = limits(&heard([5000; 40]), silence).dead;
        let irregular = heard((0..40).map(|n| if n % 2 == 0 { 1000 } else { 9000 }));
        assert!(limits(&irregular, silence).dead > regular);
    }

    #[test]
    fn few_gaps_and_bursts_say_nothing() {
        let silence = Duration::from_secs(60);
        assert_eq!(limits(&heard([100; 7]), silence), deadline::limits(silence));
        assert_eq!(limits(&heard([1; 500]), silence), deadline::limits(silence));
        let with_bursts = heard((0..80).map(|n| if n % 2 == 0 { 1 } else { 5000 }));
        assert_eq!(
            limits(&with_bursts, silence),
            limits(&heard([5000; 40]), silence)
        );
    }

    proptest! {
        #[test]
        fn phi_is_finite_and_grows_with_silence(
            gaps in prop::collection::vec(0u64..10_000_000, 0..300),
            a in 0u64..100_000_000, b in 0u64..100_000_000,
        ) {
            if let Some(rhythm) = heard(gaps).rhythm() {
                let at = |millis| rhythm.phi(Duration::from_millis(millis));
                prop_assert!(at(a).is_finite() && at(a) >= 0.0);
                prop_assert!(at(a.min(b)) <= at(a.max(b)));
                prop_assert!(rhythm.phi(Duration::MAX).is_finite());
            }
        }

        #[test]
        fn whatever_the_numbers_say_the_declared_silence_holds(
            gaps in prop::collection::vec(0u64..10_000_000, 0..300), silence in 1u64..1_000_000,
        ) {
            let silence = Duration::from_millis(silence);
            let limits = limits(&heard(gaps), silence);
            prop_assert!(limits.suspect <= limits.dead);
            prop_assert!(limits.dead <= silence && limits.dead >= silence / 4);
        }

        #[test]
        fn the_limit_is_where_phi_crosses_the_threshold(mean in 1000u64..20_000) {
            let arrivals = heard(vec![mean; 30]);
            let rhythm = arrivals.rhythm().expect("enough gaps");
            let dead = limits(&arrivals, Duration::from_hours(1000)).dead;
            if dead > Duration::from_hours(250) {
                prop_assert!(rhythm.phi(dead - Duration::from_millis(1)) < DEAD);
            }
            prop_assert!(rhythm.phi(dead) >= DEAD - 1e-6);
        }
    }
}
