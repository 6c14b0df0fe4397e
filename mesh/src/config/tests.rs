use super::*;

/// Reads settings from these variables alone.
fn read(variables: &[(&str, &str)]) -> Result<Config, Error> {
    let variables = variables.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
    Config::from_variables("users", &variables)
}

fn refusal(variable: &str, value: &str) -> String {
    read(&[(variable, value)]).unwrap_err().to_string()
}

#[test]
fn without_variables_the_defaults_hold() {
    let config = read(&[("PATH", "/bin"), ("SELVEDGE_LOG", "debug"), ("SELVEDGE_GATEWAY__LISTEN", "x")]).unwrap();
    assert_eq!(format!("{config:?}"), format!("{:?}", Config::new("users")));
}

#[test]
fn consuls_own_variables_are_honoured() {
    let config = read(&[
        ("CONSUL_HTTP_ADDR", "consul.example:8501"),
        ("CONSUL_HTTP_TOKEN", "opensesame"),
        ("CONSUL_HTTP_TOKEN_FILE", "/run/token"),
        ("CONSUL_HTTP_SSL", "true"),
        ("CONSUL_CACERT", "/etc/ca.pem"),
        ("CONSUL_CLIENT_CERT", "/etc/client.pem"),
        ("CONSUL_CLIENT_KEY", "/etc/client.key"),
    ])
    .unwrap();
    let registry = config.registry;
    assert_eq!(registry.url().unwrap().as_str(), "https://consul.example:8501/");
    assert_eq!(registry.token.unwrap().expose(), "opensesame");
    assert_eq!(registry.token_file, Some("/run/token".into()));
    assert_eq!(registry.ca_cert, Some("/etc/ca.pem".into()));
    assert_eq!(registry.client_cert, Some("/etc/client.pem".into()));
    assert_eq!(registry.client_key, Some("/etc/client.key".into()));
}

#[test]
fn namespaces_partitions_and_peers_are_refused_by_name() {
    let ours = ["SELVEDGE_REGISTRY__NAMESPACE", "SELVEDGE_REGISTRY__PARTITION", "SELVEDGE_REGISTRY__PEER"];
    let consuls = ["CONSUL_NAMESPACE", "CONSUL_PARTITION"];
    for variable in consuls.into_iter().chain(ours) {
        let error = refusal(variable, "team-a");
        assert!(error.starts_with(variable) && error.contains("not supported"), "{error}");
    }
    for variable in consuls {
        assert!(read(&[(variable, "default")]).is_ok() && read(&[(variable, "")]).is_ok());
    }
}

#[test]
fn tls_is_asked_for_as_consul_does() {
    for (ssl, address, url) in [
        ("true", "127.0.0.1:8501", "https://127.0.0.1:8501/"),
        ("1", "http://127.0.0.1:8501", "https://127.0.0.1:8501/"),
        ("true", "", "https://127.0.0.1:8500/"),
        ("false", "127.0.0.1:8500", "http://127.0.0.1:8500/"),
        ("", "https://127.0.0.1:8501", "https://127.0.0.1:8501/"),
        ("true", "127.0.0.1:1,http://127.0.0.1:2", "https://127.0.0.1:1/ https://127.0.0.1:2/"),
    ] {
        let config = read(&[("CONSUL_HTTP_SSL", ssl), ("CONSUL_HTTP_ADDR", address)]).unwrap();
        let urls: Vec<_> = config.registry.urls().unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(urls.join(" "), url, "{ssl:?} {address:?}");
    }
}

#[test]
fn settings_are_read_by_their_path() {
    let config = read(&[
        ("SELVEDGE_SERVER__DRAIN__GRACE", "5s"),
        ("SELVEDGE_SERVER__LISTEN", "127.0.0.1:7000"),
        ("SELVEDGE_SERVER__MAX_CONCURRENT_STREAMS", "7"),
        ("SELVEDGE_SERVER__ADVERTISE", "10"),
        ("SELVEDGE_CLIENT__DEFAULT_DEADLINE", "1500ms"),
        ("SELVEDGE_REGISTRY__WAIT", "20"),
        ("SELVEDGE_REGISTRY__TOKEN_FILE", ""),
    ])
    .unwrap();
    assert_eq!(config.server.drain.grace, Duration::from_secs(5));
    assert_eq!(config.server.drain.propagation, Duration::from_secs(1), "its neighbour keeps the default");
    assert_eq!(config.server.listen.port(), 7000);
    assert_eq!(config.server.max_concurrent_streams, 7);
    assert_eq!(config.server.advertise.as_deref(), Some("10"));
    assert_eq!(config.client.default_deadline, Duration::from_millis(1_500));
    assert_eq!(config.registry.wait, Duration::from_secs(20));
    assert_eq!(config.registry.token_file, None, "empty is not set");
}

#[test]
fn a_token_is_a_text_whatever_it_looks_like() {
    for token in ["12345", "007", "true", "1e5", "[a]", "{b}", "\"quoted\""] {
        let config = read(&[("SELVEDGE_REGISTRY__TOKEN", token)]).unwrap();
        assert_eq!(config.registry.token.unwrap().expose(), token);
    }
}

#[test]
fn lists_are_written_with_commas() {
    for (text, tags) in [
        ("grpc,canary", vec!["grpc", "canary"]),
        ("[grpc, \"canary\"]", vec!["grpc", "canary"]),
        ("1", vec!["1"]),
        ("", vec![]),
    ] {
        assert_eq!(read(&[("SELVEDGE_SERVER__TAGS", text)]).unwrap().server.tags, tags, "{text:?}");
    }
}

#[test]
fn selvedges_variables_go_before_consuls() {
    let config = read(&[
        ("CONSUL_HTTP_ADDR", "one:1"),
        ("CONSUL_HTTP_SSL", "true"),
        ("CONSUL_HTTP_TOKEN", "consuls"),
        ("SELVEDGE_REGISTRY__ADDRESS", "two:2"),
        ("SELVEDGE_REGISTRY__TOKEN", "ours"),
    ])
    .unwrap();
    assert_eq!(config.registry.url().unwrap().as_str(), "http://two:2/");
    assert_eq!(config.registry.token.unwrap().expose(), "ours");
}

#[test]
fn an_unknown_setting_is_refused_by_name_with_what_there_is() {
    for (variable, named, hint) in [
        ("SELVEDGE_REGISTRY__WAITT", "registry.waitt", "wait"),
        ("SELVEDGE_SERVER__DRAIN__GRACES", "server.drain.graces", "grace, propagation"),
        ("SELVEDGE_SERVER__DRAIN", "server.drain", "is a group: set one of grace, propagation"),
        ("SELVEDGE_SERVER__TAGS__0", "server.tags.0", "no setting"),
    ] {
        let error = refusal(variable, "1s");
        for part in [variable, named, hint] {
            assert!(error.contains(part), "{part:?} is not in {error}");
        }
    }
}

#[test]
fn a_value_that_cannot_be_read_is_named_with_its_variable() {
    for (variable, value) in [
        ("SELVEDGE_SERVER__DRAIN__GRACE", "5 parsecs"),
        ("SELVEDGE_SERVER__LISTEN", "nowhere"),
        ("SELVEDGE_SERVER__MAX_CONCURRENT_STREAMS", "many"),
        ("SELVEDGE_SERVER__MAX_CONCURRENT_STREAMS", "5000000000"),
    ] {
        let error = refusal(variable, value);
        assert!(error.contains(variable) && error.contains(value), "{error}");
    }
}

#[test]
fn an_address_is_taken_as_consuls_tools_take_it() {
    let url = |address: &str| RegistryConfig { address: address.into(), ..RegistryConfig::default() }.url();
    assert_eq!(url("127.0.0.1:8500").unwrap().as_str(), "http://127.0.0.1:8500/");
    assert_eq!(url("https://consul.example:8501").unwrap().as_str(), "https://consul.example:8501/");
    for bad in [
        "ftp://127.0.0.1",
        "unix:///run/consul",
        "http://127.0.0.1:8500/v1",
        "http://",
        "http://a b",
        "http://a#b",
        "",
        "a:1,",
    ] {
        let error = url(bad).unwrap_err().to_string();
        assert!(error.contains("registry.address"), "{error}");
    }
}

#[test]
fn a_bad_setting_is_named() {
    type Change = fn(&mut Config);
    let changes: [(&str, Change); 11] = [
        ("telemetry.traces.sample", |config| config.telemetry.traces.sample = 1.5),
        ("telemetry.otlp.endpoint", |config| config.telemetry.otlp.endpoint = Some("collector:4317".into())),
        ("service", |config| config.service = "Users!".into()),
        ("registry.wait", |config| config.registry.wait = Duration::ZERO),
        ("registry.client_cert", |config| config.registry.client_key = Some("key".into())),
        ("registry.login", |config| config.registry.login.method = "jwt".into()),
        ("registry.login", |config| {
            config.registry.token = Some(Secret::new("opensesame"));
            config.registry.login = LoginConfig { method: "jwt".into(), bearer_token_file: Some("jwt".into()) };
        }),
        ("client.max_connections", |config| config.client.max_connections = 0),
        ("client.connect_timeout", |config| config.client.connect_timeout = Duration::ZERO),
        ("server.max_message_bytes", |config| config.server.max_message_bytes = 0),
        ("server.max_concurrent_streams", |config| config.server.max_concurrent_streams = 0),
    ];
    for (setting, change) in changes {
        let mut config = Config::new("users");
        config.validate().unwrap();
        change(&mut config);
        let error = config.validate().unwrap_err().to_string();
        assert!(error.starts_with(&format!("{setting}:")), "{error}");
    }
}

#[test]
fn a_secret_is_never_printed() {
    let mut config = Config::new("users");
    config.registry.token = Some(Secret::new("opensesame"));
    assert!(!format!("{config:?}").contains("opensesame"));
    assert!(!serde_json::to_string(&config).unwrap().contains("opensesame"));
    config.registry.address = "http://user:opensesame@127.0.0.1:8500".into();
    assert!(!config.validate().unwrap_err().to_string().contains("opensesame"));
}

#[test]
fn the_variables_of_opentelemetry_are_read_and_ours_go_before() {
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4317"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "2500"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "15000"),
        ("OTEL_TRACES_SAMPLER_ARG", "0.5"),
        ("SELVEDGE_TELEMETRY__TRACES__SAMPLE", "1"),
    ];
    let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let telemetry = Config::from_variables("users", &variables).unwrap().telemetry;
    assert_eq!(telemetry.otlp.endpoint.as_deref(), Some("http://collector:4317"));
    assert_eq!(telemetry.otlp.timeout, Duration::from_millis(2_500));
    assert_eq!(telemetry.otlp.metrics_interval, Duration::from_secs(15));
    assert!((telemetry.traces.sample - 1.0).abs() < f64::EPSILON);
}
