//! All that the mesh writes, and the reads by which it follows: no field needs a newer agent than the oldest that is
//! asked.

use crate::contract::step::{Step, get, put, register, until};

/// A registration as the mesh writes it (`mesh/src/consul/tests.rs` holds its form).
const INSTANCE: &str = r#"{"ID":"users-10.0.0.7-50051","Name":"users","Tags":["grpc","schema-0123456789ab"],
    "Address":"10.0.0.7","Port":50051,
    "Meta":{"selvedge":"0.1.0","selvedge-owner":"0123456789abcdef","zone":"a","hash-key":"0"},
    "Checks":[{"CheckID":"users-10.0.0.7-50051:ttl","Name":"lease","TTL":"15000ms","Status":"passing",
    "DeregisterCriticalServiceAfter":"60000ms"},
    {"CheckID":"users-10.0.0.7-50051:grpc","Name":"grpc health","GRPC":"{grpc}","Interval":"5000ms","Timeout":"2000ms",
    "Status":"passing","FailuresBeforeCritical":2}]}"#;

/// One without an address of its own.
const NOWHERE: &str = r#"{"ID":"users-127.0.0.1-1","Name":"users","Tags":[],"Address":"","Port":1,"Meta":{"selvedge":"0.1.0"},"Checks":[]}"#;

pub(crate) fn writes() -> Vec<Step> {
    vec![
        get("/v1/agent/service/users-10.0.0.7-50051"),
        put("/v1/agent/service/register?replace-existing-checks=true", INSTANCE),
        until("/v1/health/service/users?passing", "serfHealth"),
        get("/v1/agent/service/users-10.0.0.7-50051"),
        put("/v1/agent/check/pass/users-10.0.0.7-50051:ttl", ""),
        get("/v1/health/service/users?stale="),
        get("/v1/health/service/users?dc=dc1&stale="),
        put("/v1/agent/service/maintenance/users-10.0.0.7-50051?enable=true&reason=drain", ""),
        // A registration that was lost: maintenance stays.
        register(INSTANCE),
        get("/v1/health/service/users?stale="),
        put("/v1/agent/service/maintenance/users-10.0.0.7-50051?enable=false&reason=", ""),
        register(NOWHERE),
        get("/v1/health/service/users?stale="),
        get("/v1/catalog/services?stale="),
        get("/v1/kv/selvedge/policy/?recurse=&stale="),
        put("/v1/agent/service/deregister/users-10.0.0.7-50051", ""),
        put("/v1/agent/service/deregister/users-10.0.0.7-50051", ""),
        get("/v1/health/service/users?stale="),
    ]
}
