//! What clients learn by reflection.

use prost_reflect::{DescriptorPool, DynamicMessage, MethodDescriptor, Value};

use crate::{catalog, users};

fn methods(set: &[u8]) -> (DescriptorPool, Vec<MethodDescriptor>) {
    let pool = DescriptorPool::decode(set).unwrap();
    let methods = pool.services().flat_map(|service| service.methods().collect::<Vec<_>>()).collect();
    (pool, methods)
}

fn text(rule: &DynamicMessage, field: &str) -> String {
    rule.get_field_by_name(field).unwrap().as_str().unwrap().to_owned()
}

/// `GetUser get /v1/{name=users/*} body= idempotency=1` for every method.
fn rules(set: &[u8]) -> Vec<String> {
    let (pool, methods) = methods(set);
    let http = pool.get_extension_by_name("google.api.http").unwrap();
    let line = |method: &MethodDescriptor| {
        let options = method.options();
        let level = options.get_field_by_name("idempotency_level").unwrap().as_enum_number().unwrap();
        let Value::Message(rule) = options.get_extension(&http).into_owned() else { panic!("no rule") };
        let verbs = ["get", "post", "patch", "delete"];
        let verb = verbs.into_iter().find(|verb| rule.has_field_by_name(verb)).unwrap();
        let (path, body) = (text(&rule, verb), text(&rule, "body"));
        format!("{} {verb} {path} body={body} idempotency={level}", method.name())
    };
    methods.iter().map(line).collect()
}

#[test]
fn rest_paths_and_idempotency_survive_in_the_descriptor_sets() {
    assert_eq!(
        rules(users::v1::FILE_DESCRIPTOR_SET),
        [
            "CreateUser post /v1/users body=user idempotency=0",
            "GetUser get /v1/{name=users/*} body= idempotency=1",
            "ListUsers get /v1/users body= idempotency=1",
            "UpdateUser patch /v1/{user.name=users/*} body=user idempotency=0",
            "DeleteUser delete /v1/{name=users/*} body= idempotency=0",
        ]
    );
    assert_eq!(
        rules(catalog::v1::FILE_DESCRIPTOR_SET),
        [
            "CreateProduct post /v1/products body=product idempotency=0",
            "GetProduct get /v1/{name=products/*} body= idempotency=1",
            "ListProducts get /v1/products body= idempotency=1",
            "BatchGetProducts get /v1/products:batchGet body= idempotency=1",
            "UpdateProduct patch /v1/{product.name=products/*} body=product idempotency=0",
            "DeleteProduct delete /v1/{name=products/*} body= idempotency=0",
            "WatchProducts get /v1/products:watch body= idempotency=1",
            "ReserveStock post /v1/{name=products/*}:reserveStock body=* idempotency=2",
            "ReleaseStock post /v1/{name=products/*}:releaseStock body=* idempotency=2",
        ]
    );
}

#[test]
fn a_domain_lists_only_its_own_services() {
    let services = |set| {
        let pool = DescriptorPool::decode(set).unwrap();
        pool.services().map(|service| service.full_name().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(services(users::v1::FILE_DESCRIPTOR_SET), ["selvedge.users.v1.UserService"]);
    assert_eq!(services(catalog::v1::FILE_DESCRIPTOR_SET), ["selvedge.catalog.v1.CatalogService"]);
}

#[test]
fn clients_learn_what_errors_carry() {
    for set in [users::v1::FILE_DESCRIPTOR_SET, catalog::v1::FILE_DESCRIPTOR_SET] {
        let pool = DescriptorPool::decode(set).unwrap();
        for detail in ["ErrorInfo", "BadRequest", "ResourceInfo"] {
            assert!(pool.get_message_by_name(&format!("google.rpc.{detail}")).is_some(), "{detail}");
        }
    }
}

#[test]
fn field_behaviours_and_comments_survive_in_the_descriptor_sets() {
    let pool = DescriptorPool::decode(users::v1::FILE_DESCRIPTOR_SET).unwrap();
    let user = pool.get_message_by_name("selvedge.users.v1.User").unwrap();
    let behaviour = pool.get_extension_by_name("google.api.field_behavior").unwrap();
    let email = user.get_field_by_name("email").unwrap().options();
    // REQUIRED = 2
    assert_eq!(*email.get_extension(&behaviour), Value::List(vec![Value::EnumNumber(2)]));
    let file = pool.get_file_by_name("selvedge/users/v1/users.proto").unwrap();
    let info = file.file_descriptor_proto().source_code_info.as_ref().unwrap();
    let said = |text: &str| info.location.iter().any(|place| place.leading_comments().trim() == text);
    assert!(said("Someone who uses the system."));
}
