use prost::Message as _;
use prost_types::{
    FileDescriptorProto, FileDescriptorSet, MethodDescriptorProto, MethodOptions, ServiceDescriptorProto,
    method_options::IdempotencyLevel,
};

use super::*;
use crate::policy::{method::Idempotency, options};

fn set() -> Vec<u8> {
    let method = |name: &str, level: Option<IdempotencyLevel>, streams: bool| MethodDescriptorProto {
        name: Some(name.into()),
        server_streaming: Some(streams),
        options: level.map(|level| MethodOptions { idempotency_level: Some(level.into()), ..Default::default() }),
        ..Default::default()
    };
    let service = ServiceDescriptorProto {
        name: Some("Echo".into()),
        method: vec![
            method("Get", Some(IdempotencyLevel::NoSideEffects), false),
            method("Put", Some(IdempotencyLevel::Idempotent), false),
            method("Add", None, false),
            method("Watch", None, true),
        ],
        ..Default::default()
    };
    let file = FileDescriptorProto {
        package: Some("test.v1".into()),
        service: vec![service],
        ..FileDescriptorProto::default()
    };
    FileDescriptorSet { file: vec![file] }.encode_to_vec()
}

fn table() -> RouteTable {
    let methods = options::methods(&[&set()]).unwrap();
    RouteTable::new("users".into(), &[&methods], Duration::from_secs(15), None)
}

fn request(path: &str) -> http::Request<Body> {
    http::Request::post(path).body(Body::empty()).unwrap()
}

#[test]
fn a_call_ends_at_the_earliest_deadline_that_it_has() {
    let now = Instant::now();
    let seconds = Duration::from_secs;
    for (path, own, inherited, expected) in [
        ("/test.v1.Echo/Get", Some("3S"), Some(5), Some(3)),
        ("/test.v1.Echo/Get", Some("7S"), Some(5), Some(5)),
        ("/test.v1.Echo/Get", None, Some(5), Some(5)),
        ("/test.v1.Echo/Get", Some("99S"), None, Some(99)),
        ("/test.v1.Echo/Get", None, None, Some(15)),
        ("/test.v1.Echo/Watch", None, None, None),
        ("/test.v1.Echo/Watch", None, Some(5), Some(5)),
        ("/unknown/Method", None, None, None),
    ] {
        let mut request = request(path);
        if let Some(own) = own {
            request.headers_mut().insert(GRPC_TIMEOUT, own.parse().unwrap());
        }
        let context = Context { deadline: inherited.map(|after| now + seconds(after)), ..Context::default() };
        let call = table().select(request, &context, now);
        let expected = expected.map(|after| Deadline { at: now + seconds(after), after: seconds(after) });
        assert_eq!(call.route.deadline, expected, "{path} {own:?} {inherited:?}");
    }
}

#[test]
fn options_override_the_descriptors_and_do_not_travel_on() {
    let mut request = request("/test.v1.Echo/Add");
    let (idempotency, unary) = (Some(Idempotency::Idempotent), Some(false));
    let options = CallOptions { idempotency, unary, wait_for_ready: true, ..CallOptions::default() };
    request.extensions_mut().insert(options);
    let call = table().select(request, &Context::default(), Instant::now());
    assert!(call.route.policy.is_idempotent() && call.route.wait_for_ready);
    assert_eq!(call.route.deadline, None);
}

#[test]
fn the_policy_of_a_call_is_the_one_that_is_printed() {
    let site = MethodPolicy { max_attempts: Some(2), ..MethodPolicy::default() };
    let options = CallOptions { policy: site, ..CallOptions::default() };
    let mut request = request("/test.v1.Echo/Get");
    request.extensions_mut().insert(options);
    let call = table().select(request, &Context::default(), Instant::now());
    assert_eq!(call.route.policy, table().policy("/test.v1.Echo/Get", &options));
    assert_eq!(call.route.policy.max_attempts.origin, Origin::CallSite);
    assert_eq!(call.route.policy.idempotency.origin, Origin::Proto);
    assert_eq!(call.route.policy.deadline.value, Some(Duration::from_secs(15)));
}

#[test]
fn a_deadline_of_the_call_sites_policy_holds_for_streams_too() {
    let site = MethodPolicy { deadline: Some(Duration::from_secs(3)), ..MethodPolicy::default() };
    for path in ["/test.v1.Echo/Watch", "/test.v1.Echo/Get"] {
        let mut request = request(path);
        request.extensions_mut().insert(CallOptions { policy: site, ..CallOptions::default() });
        let call = table().select(request, &Context::default(), Instant::now());
        assert_eq!(call.route.deadline.map(|deadline| deadline.after), Some(Duration::from_secs(3)), "{path}");
    }
}

#[test]
fn metrics_name_the_methods_that_a_descriptor_tells_here_or_at_the_call_site() {
    for (path, unary, name) in [
        ("/test.v1.Echo/Get", None, "test.v1.Echo/Get"),
        ("/learned.v1.Echo/Get", Some(true), "learned.v1.Echo/Get"),
        ("/learned.v1.Echo/Watch", Some(false), "learned.v1.Echo/Watch"),
        ("/from.a.Stranger/Get", None, "other"),
    ] {
        let mut request = request(path);
        request.extensions_mut().insert(CallOptions { unary, ..CallOptions::default() });
        let call = table().select(request, &Context::default(), Instant::now());
        assert_eq!(*call.route.labels, AttemptLabels::new(name, "users"), "{path}");
    }
}

#[test]
fn a_call_belongs_to_the_trace_of_the_served_call_else_to_that_of_its_own_header() {
    let (served, named) = (TraceContext::root(), TraceContext::root());
    let trace_of = |served: Option<TraceContext>, named: Option<TraceContext>| {
        let mut request = request("/test.v1.Echo/Get");
        if let Some(named) = named {
            named.to_headers(request.headers_mut());
        }
        let context = Context { trace: served, ..Context::default() };
        table().select(request, &context, Instant::now()).route.trace
    };
    assert_eq!(trace_of(Some(served), Some(named)), Some(served));
    assert_eq!(trace_of(None, Some(named)), Some(named));
    assert_eq!(trace_of(None, None), None);
}
