//! What each metric says, in one place.

/// Names and descriptions.
const DESCRIPTIONS: [(&str, &str); 24] = [
    ("grpc.client.attempt.started", "Attempts begun, whether or not they ended"),
    ("grpc.client.attempt.duration", "Time from an attempt's begin to its end"),
    ("grpc.client.attempt.sent_total_compressed_message_size", "Bytes of all messages that an attempt sent"),
    ("grpc.client.attempt.rcvd_total_compressed_message_size", "Bytes of all messages that an attempt received"),
    ("grpc.client.call.duration", "Time of a call over all its attempts"),
    ("grpc.client.call.retries", "Retries of a call that had any, transparent ones excluded"),
    ("grpc.client.call.transparent_retries", "Retries of attempts of a call that no server had processed"),
    ("grpc.client.call.hedges", "Attempts of a call that were made beside its first"),
    ("grpc.client.call.retry_delay", "Time of a call that had retries in which none was under way"),
    ("grpc.lb.outlier_detection.ejections_enforced", "Endpoints that were ejected"),
    ("grpc.lb.outlier_detection.ejections_unenforced", "Endpoints that were not ejected because too many are"),
    ("grpc.server.call.started", "Calls that arrived"),
    ("grpc.server.call.duration", "Time from a call's arrival to its end"),
    ("grpc.server.call.sent_total_compressed_message_size", "Bytes of all messages that a call was answered with"),
    ("grpc.server.call.rcvd_total_compressed_message_size", "Bytes of all messages that a call brought"),
    (
        "selvedge.mirror.calls",
        "Copies of calls by what came of them: answered, failed, or dropped because too many are under way",
    ),
    ("selvedge.retry.refused", "Retries that the budget did not allow"),
    ("selvedge.retry.budget", "Retries that the budget allows at this moment"),
    ("selvedge.breaker.opened", "Breakers of endpoints that opened"),
    ("selvedge.policy.refused", "Policies in the KV store that cannot be used"),
    ("selvedge.client.endpoints", "Endpoints of a service, by how they stand"),
    ("selvedge.client.connections", "Connections to a service"),
    ("selvedge.balance.cost", "Latency times calls at the cheapest and the dearest endpoint: what picks compare"),
    ("selvedge.server.connections", "Connections of clients"),
];

/// Returns the description of a metric.
pub(crate) fn described(name: &str) -> &'static str {
    DESCRIPTIONS.iter().find(|(known, _)| *known == name).map_or("", |(_, text)| text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_metrics_say_the_same() {
        let mut texts = DESCRIPTIONS.map(|(_, text)| text);
        texts.sort_unstable();
        assert!(texts.windows(2).all(|pair| pair[0] != pair[1]));
    }
}
