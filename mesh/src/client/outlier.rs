//! Finds the endpoints that do worse than the rest of their cluster (gRFC A50).

use tokio::time::Instant;

use crate::policy::cluster::OutlierPolicy;

/// What is known of one endpoint when its cluster is reviewed.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Host {
    /// Calls since the last review.
    pub(crate) good: u64,
    pub(crate) bad: u64,
    pub(crate) ejection: Ejection,
}

/// Whether an endpoint is ejected, and how often it was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ejection {
    pub(crate) since: Option<Instant>,
    /// Ejections, less one for each review since that found nothing.
    pub(crate) multiplier: u32,
}

/// How an endpoint was found to be worse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Finding {
    SuccessRate,
    FailurePercentage,
}

impl Finding {
    /// Its name in metrics (gRFC A91).
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::SuccessRate => "success_rate",
            Self::FailurePercentage => "failure_percentage",
        }
    }
}

/// What a review came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Ejected(Finding),
    /// It would be, but too many are.
    Spared(Finding),
    Returned,
}

/// Reviews a cluster: ejects by rate of success, then by share of failures, and lets back whose time is over.
pub(crate) fn review(policy: &OutlierPolicy, hosts: &mut [Host], now: Instant) -> Vec<(usize, Verdict)> {
    let mut verdicts = Vec::new();
    if let Some(bound) = lowest_rate(policy, hosts) {
        let volume = policy.success_rate.as_ref().map_or(0, |rule| rule.request_volume);
        let worse = |host: &Host| host.calls() >= volume && host.rate() < bound;
        eject(policy, hosts, (now, Finding::SuccessRate), worse, &mut verdicts);
    }
    if let Some(rule) = &policy.failure_percentage {
        let enough = |host: &Host| host.calls() >= rule.request_volume && host.calls() > 0;
        if hosts.iter().filter(|host| enough(host)).count() >= rule.minimum_hosts {
            let worse = |host: &Host| enough(host) && (1.0 - host.rate()) * 100.0 > f64::from(rule.threshold);
            eject(policy, hosts, (now, Finding::FailurePercentage), worse, &mut verdicts);
        }
    }
    for (at, host) in hosts.iter_mut().enumerate() {
        if host.ejection.pass(policy, now) {
            verdicts.push((at, Verdict::Returned));
        }
    }
    verdicts
}

/// Returns the rate of success below which a host is worse, if enough hosts had enough calls.
fn lowest_rate(policy: &OutlierPolicy, hosts: &[Host]) -> Option<f64> {
    let rule = policy.success_rate.as_ref()?;
    let enough = |host: &&Host| host.calls() >= rule.request_volume && host.calls() > 0;
    let rates: Vec<f64> = hosts.iter().filter(enough).map(Host::rate).collect();
    if rates.is_empty() || rates.len() < rule.minimum_hosts {
        return None;
    }
    let count = rates.len() as f64;
    let mean = rates.iter().sum::<f64>() / count;
    let variance = rates.iter().map(|rate| (rate - mean).powi(2)).sum::<f64>() / count;
    Some(mean - variance.sqrt() * f64::from(rule.stdev_factor) / 1_000.0)
}

fn eject(
    policy: &OutlierPolicy,
    hosts: &mut [Host],
    (now, finding): (Instant, Finding),
    worse: impl Fn(&Host) -> bool,
    verdicts: &mut Vec<(usize, Verdict)>,
) {
    let all = hosts.len();
    let mut ejected = hosts.iter().filter(|host| host.ejection.since.is_some()).count();
    for (at, host) in hosts.iter_mut().enumerate() {
        if host.ejection.since.is_some() || !worse(host) {
            continue;
        }
        if ejected * 100 >= policy.max_ejection_percent as usize * all {
            verdicts.push((at, Verdict::Spared(finding)));
            continue;
        }
        ejected += 1;
        host.ejection = Ejection { since: Some(now), multiplier: host.ejection.multiplier.saturating_add(1) };
        verdicts.push((at, Verdict::Ejected(finding)));
    }
}

impl Host {
    fn calls(&self) -> u64 {
        self.good + self.bad
    }

    fn rate(&self) -> f64 {
        self.good as f64 / self.calls() as f64
    }
}

impl Ejection {
    /// Lets a clean interval or the time of an ejection pass; returns whether the ejection is over.
    fn pass(&mut self, policy: &OutlierPolicy, now: Instant) -> bool {
        let Some(since) = self.since else {
            self.multiplier = self.multiplier.saturating_sub(1);
            return false;
        };
        let most = policy.base_ejection.max(policy.max_ejection);
        let lasts = policy.base_ejection.saturating_mul(self.multiplier).min(most);
        let over = now.saturating_duration_since(since) >= lasts;
        if over {
            self.since = None;
        }
        over
    }
}

#[cfg(test)]
mod tests;
