use super::*;

fn alone(json: &str) -> Result<CheckDefinition, String> {
    check_registration(json.as_bytes(), |_| None).map_err(|refusal| refusal.text.into_owned())
}

#[test]
fn a_check_alone_is_named_by_its_name_unless_it_has_an_id() {
    let id = |json| alone(json).map(|check| check.view.id);
    assert_eq!(id(r#"{"Name":"disk","TTL":"5s"}"#).as_deref(), Ok("disk"));
    assert_eq!(id(r#"{"ID":"d","Name":"disk","TTL":"5s"}"#).as_deref(), Ok("d"));
    assert_eq!(id(r#"{"TTL":"5s"}"#), Err("Missing check name".to_owned()));
    assert_eq!(id(r#"{"Name":"x","TTL":"5s","Status":"good"}"#), Err("Bad check status".to_owned()));
    assert_eq!(
        id(r#"{"Name":"x","TTL":"5s","ServiceID":"none"}"#),
        Err(r#"ServiceID "none" does not exist"#.to_owned())
    );
}

#[test]
fn what_this_registry_does_not_run_is_refused_and_not_left_out() {
    for key in ["AliasService", "DockerContainerID", "H2PING", "OSService", "UDP"] {
        let refused = alone(&format!(r#"{{"Name":"x","{key}":"y","Interval":"5s"}}"#)).unwrap_err();
        assert!(refused.contains(key), "{refused}");
    }
    assert!(alone(r#"{"Name":"x","GRPC":"h:1","GRPCUseTLS":true,"Interval":"5s"}"#).is_err());
    assert!(alone(r#"{"Name":"x","HTTP":"https://h","Interval":"5s"}"#).is_err());
    assert!(alone(r#"{"Name":"x","UDP":"","GRPCUseTLS":false,"Args":[],"TTL":"5s"}"#).is_ok());
}

#[test]
fn an_update_needs_a_known_status() {
    assert_eq!(check_update(br#"{"Status":"passing","Output":"x"}"#), Ok((Status::Passing, "x".to_owned())));
    assert!(check_update(br#"{"Status":"good"}"#).is_err_and(|refusal| refusal.text == "Invalid check status: 'good'"));
    assert!(check_update(br#"{"Status":"passing","Bogus":1}"#).is_err());
}
