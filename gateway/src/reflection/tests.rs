//! Questions as grpcurl asks them.

use super::*;
use crate::testing::shop;

fn ask(question: Question) -> Answer {
    let schema = Arc::new(ArcSwap::from(shop()));
    Reflection { schema, own: Arc::new(own()) }.answer(question)
}

fn files(answer: Answer) -> Vec<Vec<u8>> {
    match answer {
        Answer::FileDescriptorResponse(files) => files.file_descriptor_proto,
        other => panic!("{other:?}"),
    }
}

#[test]
fn all_services_are_listed() {
    let Answer::ListServicesResponse(list) = ask(Question::ListServices(String::new())) else { panic!("no list") };
    let names: Vec<_> = list.service.iter().map(|service| service.name.as_str()).collect();
    assert_eq!(names, [&["shop.v1.ShopService"][..], &OWN].concat());
}

#[test]
fn a_symbol_is_answered_with_its_file_and_imports_and_every_option() {
    for symbol in ["shop.v1.ShopService", "shop.v1.ShopService.GetItem", "shop.v1.Item", "shop.v1.Item.stock"] {
        let raw = files(ask(Question::FileContainingSymbol(symbol.into())));
        let mut pool = DescriptorPool::new();
        let mut set = Vec::new();
        for file in &raw {
            prost::encoding::encode_key(1, prost::encoding::WireType::LengthDelimited, &mut set);
            prost::encoding::encode_varint(file.len() as u64, &mut set);
            set.extend_from_slice(file);
        }
        pool.decode_file_descriptor_set(set.as_slice()).unwrap();
        let http = pool.get_extension_by_name("google.api.http").unwrap();
        let service = pool.get_service_by_name("shop.v1.ShopService").unwrap();
        assert!(service.methods().next().unwrap().options().has_extension(&http), "{symbol}");
    }
}

#[test]
fn the_gateways_own_services_can_be_described() {
    for service in OWN {
        assert!(!files(ask(Question::FileContainingSymbol(service.into()))).is_empty(), "{service}");
    }
}

#[test]
fn files_and_extensions_are_found() {
    assert_eq!(files(ask(Question::FileByFilename("google/api/http.proto".into()))).len(), 1);
    let of = "google.protobuf.MethodOptions".to_owned();
    let Answer::AllExtensionNumbersResponse(numbers) = ask(Question::AllExtensionNumbersOfType(of)) else {
        panic!("no numbers")
    };
    assert_eq!(numbers.extension_number, [72_295_728]);
}

#[test]
fn what_is_not_there_is_not_found() {
    for question in [
        Question::FileContainingSymbol("no.Such".into()),
        Question::FileByFilename("no.proto".into()),
        Question::AllExtensionNumbersOfType("no.Such".into()),
    ] {
        let Answer::ErrorResponse(error) = ask(question) else { panic!("found") };
        assert_eq!(error.error_code, i32::from(Code::NotFound));
    }
}
