//! The engines of other people's making: fetched, started, asked, and gone afterwards; skipped loudly where they
//! cannot be had.

use engines::{client, local, moto, sample, skip_or_fail};
use serde_json::json;

#[test]
fn dynamodb_local_answers_and_ends() {
    let local = match local::Local::start() {
        Ok(local) => local,
        Err(skip) => return skip_or_fail(&skip),
    };
    local.load(&sample::tables()).unwrap();
    let statement = json!({"Statement": "SELECT price FROM my_table WHERE id = '124'"});
    let answer = client::dynamodb_ok(local.url(), "ExecuteStatement", &statement).unwrap();
    assert_eq!(answer["Items"], json!([{"price": {"N": "15.5"}}]));
    let url = local.url().to_owned();
    drop(local);
    assert!(client::dynamodb(&url, "ListTables", &json!({})).is_err());
}

#[test]
fn moto_assumes_roles_and_ends() {
    let moto = match moto::Moto::start() {
        Ok(moto) => moto,
        Err(skip) => return skip_or_fail(&skip),
    };
    let signed = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260101/us-east-1/sts/aws4_request, \
                  SignedHeaders=host, Signature=00";
    let headers = [
        ("authorization", signed),
        ("content-type", "application/x-www-form-urlencoded"),
    ];
    let body = "Action=AssumeRole&Version=2011-06-15&RoleArn=arn:aws:iam::123456789012:role/R&RoleSessionName=s";
    let reply = client::send(hyper::Method::POST, moto.url(), &headers, body).unwrap();
    let text = String::from_utf8_lossy(&reply.body).into_owned();
    assert!(text.contains("<AccessKeyId>"), "{text}");
    let url = moto.url().to_owned();
    drop(moto);
    assert!(client::send(hyper::Method::GET, &url, &[], "").is_err());
}

#[test]
fn what_is_shared_is_started_once() {
    match (local::shared(), local::shared()) {
        (Ok(first), Ok(second)) => assert_eq!(first.url(), second.url()),
        (Err(skip), _) | (_, Err(skip)) => skip_or_fail(&skip),
    }
}
