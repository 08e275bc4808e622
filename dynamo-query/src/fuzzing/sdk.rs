//! What the SDK itself writes and reads, without a client: the body of a request, and an answer with its items.

use std::fmt::Debug;

use aws_sdk_dynamodb::operation::execute_statement::{ExecuteStatement, ExecuteStatementOutput};
use aws_smithy_runtime_api::client::{
    interceptors::context::Input,
    orchestrator::HttpResponse,
    runtime_plugin::RuntimePlugin,
    ser_de::{
        DeserializeResponse, SerializeRequest, SharedRequestSerializer, SharedResponseDeserializer,
    },
};
use aws_smithy_types::{body::SdkBody, config_bag::ConfigBag};

/// The body of this operation's request.
pub(super) fn body_of<I>(operation: &impl RuntimePlugin, input: I) -> Vec<u8>
where
    I: Debug + Send + Sync + 'static,
{
    let config = operation.config().expect("an operation has settings");
    let serializer = config.load::<SharedRequestSerializer>();
    let request = serializer
        .expect("an operation has a serializer")
        .serialize_input(Input::erase(input), &mut ConfigBag::base())
        .expect("an input that was built can be sent");
    let body = request.body().bytes().expect("it is whole");
    body.to_vec()
}

/// The body of ExecuteStatement's answer, where the SDK takes it.
pub(super) fn answer(body: &[u8]) -> Option<ExecuteStatementOutput> {
    let config = ExecuteStatement::new().config();
    let config = config.expect("an operation has settings");
    let deserializer = config.load::<SharedResponseDeserializer>();
    let ok = 200.try_into().expect("a status");
    let response = HttpResponse::new(ok, SdkBody::from(body.to_vec()));
    let output = deserializer
        .expect("an operation has a deserializer")
        .deserialize_nonstreaming_with_config(&response, &ConfigBag::base())
        .ok()?;
    Some(output.downcast().expect("it is of the operation"))
}
