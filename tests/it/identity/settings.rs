//! Settings from outside, one by one: what each gives, with an instance's role at hand, and what boto3 gives.
//!
//! Each row runs in a process of its own, so that no environment leaks into another.

use std::{
    collections::{BTreeMap, VecDeque},
    fs,
    io::Write,
    path::Path,
    process::{Command, Stdio},
    sync::Mutex,
    thread,
    time::Duration,
};

use engines::{
    endpoints::Refused,
    faults::Faults,
    http::{Answer, Call as Asked, Server},
    metadata::{CONTAINER_AUTHORIZATION, Metadata},
    moto,
    proxy::{Proxy, Rules},
    skip_or_fail,
    sts::{Outcome, Script, Sts},
};
use harness_tests::{
    child::{self, Call},
    job_on,
};
use serde_json::{Value, json};

use self::{
    Boto3::{Differs, Same},
    Gives::{Error, Key},
};
use super::{ROLE, dynamodb};

mod page;

/// What a row gives.
enum Gives {
    /// Rows, signed by a key that begins so.
    Key(&'static str),
    /// This error, whose message holds this.
    Error(&'static str, &'static str),
}

/// What boto3 gives.
#[derive(Clone, Copy, PartialEq)]
enum Boto3 {
    /// Rows where we give rows, else an error.
    Same,
    /// Something else, on purpose: the contract says otherwise.
    Differs,
}

/// Variables (`NAME=VALUE` lines; `\n` in a value is written `␤`), the config file, the cluster's context, what it gives.
type Row = (&'static str, &'static str, &'static str, Gives, Boto3);

const KEYS: &str = "AWS_ACCESS_KEY_ID=AKIDENV\nAWS_SECRET_ACCESS_KEY=s";

fn groups() -> Vec<(&'static str, Vec<Row>)> {
    vec![
        (
            "Profiles",
            vec![
                (
                    "AWS_PROFILE=typo",
                    "[profile a]\nregion=eu-west-1",
                    "{}",
                    Error("CREDENTIALS", "no AWS profile named 'typo' (AWS_PROFILE)"),
                    Same,
                ),
                (
                    "AWS_DEFAULT_PROFILE=typo",
                    "",
                    "{}",
                    Error("CREDENTIALS", "named 'typo' (AWS_DEFAULT_PROFILE)"),
                    Same,
                ),
                ("AWS_PROFILE=", "", "{}", Key("ASIAINST"), Differs),
                (
                    "AWS_PROFILE=typo\n{keys}",
                    "",
                    "{}",
                    Error("CREDENTIALS", "'typo'"),
                    Same,
                ),
                (
                    "",
                    "",
                    r#"{"profile": "typo"}"#,
                    Error("CREDENTIALS", "'typo' (cluster.context.profile)"),
                    Differs,
                ),
                (
                    "{keys}",
                    "[profile a]\naws_access_key_id=AKIDA\naws_secret_access_key=s",
                    r#"{"profile": "a"}"#,
                    Key("AKIDA"),
                    Differs,
                ),
                (
                    "AWS_PROFILE=a",
                    "[profile a]\naws_access_key_id=AKIDA\naws_secret_access_key=s",
                    "{}",
                    Key("AKIDA"),
                    Same,
                ),
                (
                    "AWS_PROFILE=a\n{keys}",
                    "[profile a]\naws_access_key_id=AKIDA\naws_secret_access_key=s",
                    "{}",
                    Key("AKIDENV"),
                    Same,
                ),
                (
                    "AWS_PROFILE=a\n{keys}",
                    "[profile a]\nregion=eu-west-1",
                    "{}",
                    Key("AKIDENV"),
                    Same,
                ),
                (
                    "AWS_PROFILE=a",
                    "[profile a]\nregion=eu-west-1",
                    "{}",
                    Error(
                        "CREDENTIALS",
                        "the AWS profile 'a' (AWS_PROFILE) holds no credentials",
                    ),
                    Differs,
                ),
                (
                    "AWS_PROFILE=a",
                    "[profile a]\naws_access_key_id=AKIDA",
                    "{}",
                    Error(
                        "CREDENTIALS",
                        "'a' has an aws_access_key_id, but no aws_secret_access_key",
                    ),
                    Same,
                ),
                (
                    "AWS_PROFILE=a",
                    "[profile a]\naws_secret_access_key=s",
                    "{}",
                    Error("CREDENTIALS", "'a' has an aws_secret_access_key, but no"),
                    Differs,
                ),
                (
                    "AWS_PROFILE=a",
                    "[profile a]\nrole_arn={role}\nsource_profile=gone",
                    "{}",
                    Error(
                        "CREDENTIALS",
                        "'a' names the source_profile 'gone', which does not exist",
                    ),
                    Same,
                ),
                (
                    "",
                    "[profile a]\nrole_arn={role}\nsource_profile=gone",
                    r#"{"profile": "a"}"#,
                    Error("CREDENTIALS", "'gone'"),
                    Differs,
                ),
                (
                    "AWS_PROFILE=a",
                    "[profile a]\nrole_arn={role}\nsource_profile=b\n[profile b]\nregion=eu-west-1",
                    "{}",
                    Error(
                        "CREDENTIALS",
                        "source_profile 'b', which holds no credentials",
                    ),
                    Same,
                ),
                (
                    "AWS_PROFILE=a",
                    "[profile a]\nrole_arn={role}\nsource_profile=b\n[profile b]\nrole_arn={role}\nsource_profile=a",
                    "{}",
                    Error("CREDENTIALS", "circle: a → b → a"),
                    Same,
                ),
                (
                    "AWS_PROFILE=a",
                    "[profile a]\nrole_arn={role}\nsource_profile=a",
                    "{}",
                    Error("CREDENTIALS", "circle: a → a"),
                    Same,
                ),
                (
                    "AWS_PROFILE=a\nAWS_ENDPOINT_URL_STS={sts}",
                    "[profile a]\nrole_arn={role}\nsource_profile=a\naws_access_key_id=AKIDA\naws_secret_access_key=s",
                    "{}",
                    Key("ASIAROLE"),
                    Same,
                ),
                (
                    "AWS_PROFILE=a",
                    "[profile a]\nrole_arn={role}",
                    "{}",
                    Error(
                        "CREDENTIALS",
                        "neither source_profile nor credential_source",
                    ),
                    Same,
                ),
                (
                    "AWS_PROFILE=a",
                    "[profile a]\nrole_arn={role}\nsource_profile=a\ncredential_source=Environment",
                    "{}",
                    Error("CREDENTIALS", "both source_profile and credential_source"),
                    Same,
                ),
                (
                    "AWS_PROFILE=a",
                    "[profile a]\nrole_arn={role}\ncredential_source=Environment",
                    "{}",
                    Error("CREDENTIALS", "AWS_ACCESS_KEY_ID is not set"),
                    Same,
                ),
                (
                    "AWS_PROFILE=a",
                    "[profile a]\nrole_arn={role}\ncredential_source=Enviroment",
                    "{}",
                    Error("CREDENTIALS", "'Enviroment'"),
                    Same,
                ),
                (
                    "AWS_PROFILE=a",
                    "[profile a]\nrole_arn={role}\ncredential_source=EcsContainer",
                    "{}",
                    Error("CREDENTIALS", "AWS_CONTAINER_CREDENTIALS_FULL_URI"),
                    Same,
                ),
                (
                    "AWS_PROFILE=a\nAWS_ENDPOINT_URL_STS={sts}",
                    "[profile a]\nrole_arn={role}\ncredential_source=Ec2InstanceMetadata",
                    "{}",
                    Key("ASIAROLE"),
                    Same,
                ),
                (
                    "AWS_PROFILE=a",
                    "[profile a]\nrole_arn={role}\nsource_profile=b\nmfa_serial=arn:aws:iam::1:mfa/x\n[profile b]\naws_access_key_id=AKIDB\naws_secret_access_key=s",
                    "{}",
                    Error("CREDENTIALS", "MFA"),
                    Differs,
                ),
                (
                    "AWS_PROFILE=a",
                    "[profile a]\nrole_arn={role}\nsource_profile=b\nduration_seconds=1h\n[profile b]\naws_access_key_id=AKIDB\naws_secret_access_key=s",
                    "{}",
                    Error("CREDENTIALS", "duration_seconds"),
                    Same,
                ),
                (
                    "AWS_PROFILE=a",
                    "[profile a]\nsso_session=gone\nsso_account_id=1\nsso_role_name=r",
                    "{}",
                    Error("CREDENTIALS", "sso_session 'gone', which does not exist"),
                    Same,
                ),
                (
                    "AWS_PROFILE=a",
                    "[profile a]\nsso_account_id=1\nsso_role_name=r",
                    "{}",
                    Error("CREDENTIALS", "sso_start_url is missing"),
                    Same,
                ),
                (
                    "AWS_PROFILE=a",
                    "[profile a]\nlogin_session=x",
                    "{}",
                    Error("CREDENTIALS", "aws login"),
                    Same,
                ),
                (
                    "AWS_PROFILE=a",
                    "[profile a]\nweb_identity_token_file=/nowhere",
                    "{}",
                    Error("CREDENTIALS", "no role_arn"),
                    Same,
                ),
            ],
        ),
        (
            "Files",
            vec![
                (
                    "",
                    "no section",
                    "{}",
                    Error("CREDENTIALS", "config on line 1"),
                    Same,
                ),
                (
                    "",
                    "[default]\nregion=eu-west-1\nnonsense",
                    "{}",
                    Error("CREDENTIALS", "config on line 3"),
                    Same,
                ),
                (
                    "{keys}",
                    "[default",
                    "{}",
                    Error("CREDENTIALS", "config on line 1"),
                    Same,
                ),
                (
                    "AWS_SHARED_CREDENTIALS_FILE={dir}/utf16",
                    "",
                    "{}",
                    Error(
                        "CREDENTIALS",
                        "utf16 (AWS_SHARED_CREDENTIALS_FILE) is not UTF-8",
                    ),
                    Same,
                ),
                (
                    "AWS_SHARED_CREDENTIALS_FILE=/nowhere",
                    "",
                    "{}",
                    Key("ASIAINST"),
                    Same,
                ),
                (
                    "AWS_SHARED_CREDENTIALS_FILE=/dev/null",
                    "",
                    "{}",
                    Key("ASIAINST"),
                    Same,
                ),
                (
                    "AWS_SHARED_CREDENTIALS_FILE=",
                    "",
                    "{}",
                    Key("ASIAINST"),
                    Same,
                ),
            ],
        ),
        (
            "Keys",
            vec![
                (
                    "AWS_ACCESS_KEY_ID=AKIDENV",
                    "",
                    "{}",
                    Error("CREDENTIALS", "AWS_SECRET_ACCESS_KEY is not"),
                    Same,
                ),
                (
                    "AWS_SECRET_ACCESS_KEY=s",
                    "",
                    "{}",
                    Error("CREDENTIALS", "AWS_ACCESS_KEY_ID is not"),
                    Differs,
                ),
                (
                    "AWS_ACCESS_KEY_ID=\nAWS_SECRET_ACCESS_KEY=\nAWS_SESSION_TOKEN=",
                    "",
                    "{}",
                    Key("ASIAINST"),
                    Same,
                ),
                (
                    "AWS_SESSION_TOKEN=left-over",
                    "",
                    "{}",
                    Key("ASIAINST"),
                    Same,
                ),
                ("{keys}\nAWS_SESSION_TOKEN=", "", "{}", Key("AKIDENV"), Same),
                (
                    "AWS_ACCESS_KEY_ID=AKIDENV␤\nAWS_SECRET_ACCESS_KEY=s",
                    "",
                    "{}",
                    Error(
                        "CREDENTIALS",
                        "the access key id from the keys in the environment",
                    ),
                    Same,
                ),
                (
                    "AWS_ACCESS_KEY_ID=AKIDENV\r\nAWS_SECRET_ACCESS_KEY=s",
                    "",
                    "{}",
                    Error("CREDENTIALS", "access key id"),
                    Same,
                ),
                (
                    "AWS_ACCESS_KEY_ID=AKIDENV\x01\nAWS_SECRET_ACCESS_KEY=s",
                    "",
                    "{}",
                    Error("CREDENTIALS", "access key id"),
                    Differs,
                ),
                (
                    "AWS_ACCESS_KEY_ID=AKIDÉNV\nAWS_SECRET_ACCESS_KEY=s",
                    "",
                    "{}",
                    Error("CREDENTIALS", "access key id"),
                    Differs,
                ),
                (
                    "AWS_ACCESS_KEY_ID=AKIDENV\nAWS_SECRET_ACCESS_KEY=s␤",
                    "",
                    "{}",
                    Error("CREDENTIALS", "secret access key"),
                    Differs,
                ),
                (
                    "{keys}\nAWS_CREDENTIAL_EXPIRATION=2020-01-01T00:00:00Z",
                    "",
                    "{}",
                    Error("CREDENTIALS", "AWS_CREDENTIAL_EXPIRATION has passed"),
                    Same,
                ),
                (
                    "{keys}\nAWS_CREDENTIAL_EXPIRATION=tomorrow",
                    "",
                    "{}",
                    Error("CREDENTIALS", "AWS_CREDENTIAL_EXPIRATION is no time"),
                    Same,
                ),
                (
                    "{keys}\nAWS_CREDENTIAL_EXPIRATION=2100-01-01T00:00:00Z\nAWS_ACCOUNT_ID=123456789012",
                    "",
                    "{}",
                    Key("AKIDENV"),
                    Same,
                ),
                (
                    "{keys}\nAWS_ACCOUNT_ID=evil.example/",
                    "",
                    "{}",
                    Error(
                        "CREDENTIALS",
                        "the account id from the keys in the environment",
                    ),
                    Differs,
                ),
                (
                    "{keys}\nAWS_RETRY_MODE=adaptive",
                    "",
                    "{}",
                    Key("AKIDENV"),
                    Same,
                ),
                (
                    "{keys}\nAWS_SESSION_TOKEN=AB␤CD",
                    "",
                    "{}",
                    Error("CREDENTIALS", "session token"),
                    Same,
                ),
                (
                    "",
                    "[default]\ncredential_process=printf '{\"Version\":1,\"AccessKeyId\":\"AKIDP\\\\u000a\",\"SecretAccessKey\":\"s\"}'",
                    "{}",
                    Error(
                        "CREDENTIALS",
                        "the access key id from the credential_process of the AWS profile 'default'",
                    ),
                    Differs,
                ),
            ],
        ),
        (
            "Logins and helpers",
            vec![
                (
                    "AWS_PROFILE=a\nHOME={dir}",
                    "[profile a]\nsso_start_url=https://login.example/other\nsso_region=us-east-1\nsso_account_id=123456789012\nsso_role_name=r",
                    "{}",
                    Error(
                        "CREDENTIALS",
                        "the SSO login of the AWS profile 'a' gave no credentials: nobody has logged in",
                    ),
                    Same,
                ),
                (
                    "AWS_PROFILE=a\nHOME={dir}",
                    "[profile a]\nsso_session=corp\nsso_account_id=123456789012\nsso_role_name=r\n[sso-session corp]\nsso_region=us-east-1\nsso_start_url=https://login.example/start",
                    "{}",
                    Error("CREDENTIALS", "the login has expired"),
                    Same,
                ),
                (
                    "AWS_PROFILE=a\nHOME={dir}\nAWS_ENDPOINT_URL_SSO={nobody}",
                    "[profile a]\nsso_start_url=https://login.example/start\nsso_region=us-east-1\nsso_account_id=123456789012\nsso_role_name=r",
                    "{}",
                    Error("UNAVAILABLE", "AWS SSO could not be asked"),
                    Differs,
                ),
                (
                    "AWS_PROFILE=a\nHOME={dir}\nAWS_ENDPOINT_URL_SSO={sso}",
                    "[profile a]\nsso_start_url=https://login.example/start\nsso_region=us-east-1\nsso_account_id=123456789012\nsso_role_name=r",
                    "{}",
                    Key("ASIASSO"),
                    Same,
                ),
                (
                    "AWS_PROFILE=a",
                    "[profile a]\ncredential_process=exit 3",
                    "{}",
                    Error(
                        "CREDENTIALS",
                        "the credential_process of the AWS profile 'a' ended with exit status 3",
                    ),
                    Same,
                ),
                (
                    "AWS_PROFILE=a",
                    "[profile a]\ncredential_process=/nowhere/helper --flag",
                    "{}",
                    Error("CREDENTIALS", "exit status 127 (no such command)"),
                    Same,
                ),
                (
                    "AWS_PROFILE=a",
                    "[profile a]\ncredential_process=kill -9 $$",
                    "{}",
                    Error("CREDENTIALS", "signal 9"),
                    Differs,
                ),
                (
                    "AWS_PROFILE=a",
                    "[profile a]\ncredential_process=echo nonsense",
                    "{}",
                    Error("CREDENTIALS", "did not write the JSON of credentials"),
                    Same,
                ),
                (
                    "AWS_PROFILE=a",
                    "[profile a]\ncredential_process=echo '{\"Version\":2}'",
                    "{}",
                    Error("CREDENTIALS", "no \"Version\": 1"),
                    Same,
                ),
                (
                    "AWS_PROFILE=a",
                    "[profile a]\ncredential_process=cat {dir}/half.json",
                    "{}",
                    Error("CREDENTIALS", "no SecretAccessKey"),
                    Same,
                ),
                (
                    "AWS_PROFILE=a",
                    "[profile a]\ncredential_process=cat {dir}/expired.json",
                    "{}",
                    Error("CREDENTIALS", "credentials that have expired"),
                    Same,
                ),
                (
                    "AWS_PROFILE=a",
                    "[profile a]\ncredential_process=cat /dev/zero",
                    "{}",
                    Error("CREDENTIALS", "more than 64 KiB"),
                    Differs,
                ),
            ],
        ),
        (
            "Roles and machines",
            vec![
                (
                    "AWS_PROFILE=a\nAWS_ENDPOINT_URL_STS={sts-denying}",
                    "[profile a]\nrole_arn={role}\nsource_profile=b\n[profile b]\naws_access_key_id=AKIDB\naws_secret_access_key=s",
                    "{}",
                    Error(
                        "ASSUME_ROLE",
                        "STS refused the role arn:aws:iam::123456789012:role/HeimdallDynamoQueryRole of the AWS profile 'a'",
                    ),
                    Same,
                ),
                (
                    "AWS_PROFILE=a\nAWS_ENDPOINT_URL_STS={nobody}",
                    "[profile a]\nrole_arn={role}\nsource_profile=b\n[profile b]\naws_access_key_id=AKIDB\naws_secret_access_key=s",
                    "{}",
                    Error(
                        "UNAVAILABLE",
                        "STS could not be asked for the credentials of the role",
                    ),
                    Differs,
                ),
                (
                    "AWS_WEB_IDENTITY_TOKEN_FILE={dir}/token\nAWS_ROLE_ARN={role}\nAWS_ENDPOINT_URL_STS={nobody}",
                    "",
                    r#"{"role_arn": "{role}", "sts_endpoint_url": "{nobody}"}"#,
                    Error("UNAVAILABLE", "(needed to assume"),
                    Differs,
                ),
                (
                    "AWS_CONTAINER_CREDENTIALS_FULL_URI={nobody}/x",
                    "",
                    r#"{"role_arn": "{role}", "sts_endpoint_url": "{sts}"}"#,
                    Error("UNAVAILABLE", "could not be asked: the connection to"),
                    Differs,
                ),
                (
                    "AWS_WEB_IDENTITY_TOKEN_FILE={dir}/token\nAWS_ROLE_ARN={role}\nAWS_ENDPOINT_URL_STS={sts-refusing}",
                    "",
                    "{}",
                    Error(
                        "CREDENTIALS",
                        "STS did not accept the token of the web identity",
                    ),
                    Same,
                ),
                (
                    "AWS_WEB_IDENTITY_TOKEN_FILE={dir}/token\nAWS_ROLE_ARN={role}\nAWS_ENDPOINT_URL_STS=http://sts.no-such-host.invalid",
                    "",
                    "{}",
                    Error(
                        "UNAVAILABLE",
                        "the host name of sts.no-such-host.invalid:80 does not resolve",
                    ),
                    Differs,
                ),
                (
                    "AWS_WEB_IDENTITY_TOKEN_FILE={dir}/token\nAWS_ROLE_ARN={role}\nAWS_ENDPOINT_URL_STS={nobody}\nHTTP_PROXY={proxy}",
                    "",
                    "{}",
                    Error(
                        "UNAVAILABLE",
                        "STS could not be asked for the credentials of the web identity (AWS_WEB_IDENTITY_TOKEN_FILE): the proxy 127.0.0.1:",
                    ),
                    Differs,
                ),
                (
                    "AWS_EC2_METADATA_SERVICE_ENDPOINT={imds-bare}",
                    "",
                    "{}",
                    Error("CREDENTIALS", "the instance has no role"),
                    Same,
                ),
                (
                    "AWS_EC2_METADATA_SERVICE_ENDPOINT={imds-odd}",
                    "",
                    "{}",
                    Error("BAD_RESPONSE", "a role's name that cannot be one"),
                    Differs,
                ),
            ],
        ),
        (
            "Endpoints",
            vec![
                ("{keys}\nAWS_ENDPOINT_URL=", "", "{}", Key("AKIDENV"), Same),
                (
                    "{keys}\nAWS_ENDPOINT_URL_STS=",
                    "[default]\nendpoint_url =",
                    "{}",
                    Key("AKIDENV"),
                    Same,
                ),
                (
                    "{keys}\nAWS_ENDPOINT_URL_STS=",
                    "",
                    r#"{"role_arn": "{role}", "sts_endpoint_url": "{sts}"}"#,
                    Key("ASIAROLE"),
                    Differs,
                ),
                (
                    "{keys}\nAWS_ENDPOINT_URL_DYNAMODB=\nAWS_ENDPOINT_URL=localhost:8000",
                    "",
                    "{}",
                    Error("INVALID_JOB", "AWS_ENDPOINT_URL is not an endpoint's URL"),
                    Same,
                ),
                (
                    "{keys}\nAWS_ENDPOINT_URL_DYNAMODB=http://u:secret@h",
                    "",
                    "{}",
                    Error("INVALID_JOB", "AWS_ENDPOINT_URL_DYNAMODB is not"),
                    Differs,
                ),
                (
                    "{keys}\nAWS_ENDPOINT_URL_DYNAMODB=",
                    "[default]\nendpoint_url = nonsense",
                    "{}",
                    Error("INVALID_JOB", "endpoint_url in the AWS profile 'default'"),
                    Same,
                ),
                (
                    "{keys}\nAWS_ENDPOINT_URL_DYNAMODB=",
                    "[default]\nservices = s\n[services s]\ndynamodb =\n  endpoint_url = {dynamodb}",
                    "{}",
                    Key("AKIDENV"),
                    Same,
                ),
                (
                    "{keys}\nAWS_ENDPOINT_URL_DYNAMODB=",
                    "[default]\nendpoint_url = {dynamodb}",
                    "{}",
                    Key("AKIDENV"),
                    Same,
                ),
                (
                    "{keys}\nAWS_USE_FIPS_ENDPOINT=true",
                    "",
                    "{}",
                    Key("AKIDENV"),
                    Same,
                ),
                (
                    "{keys}\nAWS_USE_DUALSTACK_ENDPOINT=true",
                    "",
                    "{}",
                    Key("AKIDENV"),
                    Same,
                ),
                (
                    "{keys}\nAWS_USE_FIPS_ENDPOINT=yes",
                    "",
                    "{}",
                    Error("INVALID_JOB", "AWS_USE_FIPS_ENDPOINT is 'yes'"),
                    Differs,
                ),
                (
                    "{keys}\nAWS_ACCOUNT_ID_ENDPOINT_MODE=required",
                    "",
                    "{}",
                    Key("AKIDENV"),
                    Same,
                ),
                (
                    "{keys}\nAWS_ACCOUNT_ID_ENDPOINT_MODE=sometimes",
                    "",
                    "{}",
                    Error("INVALID_JOB", "AWS_ACCOUNT_ID_ENDPOINT_MODE is 'sometimes'"),
                    Differs,
                ),
                (
                    "{keys}\nAWS_ENDPOINT_URL_DYNAMODB=\nAWS_ACCOUNT_ID_ENDPOINT_MODE=required",
                    "",
                    "{}",
                    Error("INVALID_JOB", "AccountIdEndpointMode"),
                    Same,
                ),
            ],
        ),
        (
            "Regions",
            vec![
                (
                    "{keys}\nAWS_REGION=\nAWS_DEFAULT_REGION=eu-west-1",
                    "",
                    "{}",
                    Key("AKIDENV"),
                    Same,
                ),
                (
                    "{keys}\nAWS_REGION=eu-west-1 ",
                    "",
                    "{}",
                    Error("INVALID_JOB", "AWS_REGION is 'eu-west-1 '"),
                    Differs,
                ),
                (
                    "{keys}\nAWS_REGION=eu-west-1␤",
                    "",
                    "{}",
                    Error("INVALID_JOB", "AWS_REGION is 'eu-west-1\\n'"),
                    Differs,
                ),
                (
                    "{keys}\nAWS_REGION=\nAWS_DEFAULT_REGION=eu-west-1 ",
                    "",
                    "{}",
                    Error("INVALID_JOB", "AWS_DEFAULT_REGION"),
                    Same,
                ),
                (
                    "{keys}\nAWS_REGION=\nAWS_DEFAULT_REGION=",
                    "[default]\nregion = \"eu-west-1\"",
                    "{}",
                    Error("INVALID_JOB", "region in the AWS profile 'default'"),
                    Differs,
                ),
                (
                    "{keys}\nAWS_REGION=\nAWS_DEFAULT_REGION=",
                    "[default]\nregion =   eu-west-1  ",
                    "{}",
                    Key("AKIDENV"),
                    Same,
                ),
            ],
        ),
        (
            "Web identities, containers, instances",
            vec![
                (
                    "AWS_WEB_IDENTITY_TOKEN_FILE=\nAWS_ROLE_ARN={role}",
                    "",
                    "{}",
                    Key("ASIAINST"),
                    Same,
                ),
                (
                    "AWS_WEB_IDENTITY_TOKEN_FILE={dir}/token",
                    "",
                    "{}",
                    Error("CREDENTIALS", "AWS_ROLE_ARN is not"),
                    Same,
                ),
                (
                    "AWS_WEB_IDENTITY_TOKEN_FILE={dir}/token\nAWS_ROLE_ARN={role}\nAWS_ENDPOINT_URL_STS={sts}",
                    "[default]\naws_access_key_id=AKIDA\naws_secret_access_key=s",
                    "{}",
                    Key("ASIAROLE"),
                    Same,
                ),
                (
                    "AWS_WEB_IDENTITY_TOKEN_FILE=/nowhere\nAWS_ROLE_ARN={role}",
                    "",
                    "{}",
                    Error("CREDENTIALS", "/nowhere cannot be read"),
                    Same,
                ),
                (
                    "AWS_WEB_IDENTITY_TOKEN_FILE={dir}/token\nAWS_ROLE_ARN={role}\nAWS_ENDPOINT_URL_STS={nobody}",
                    "",
                    "{}",
                    Error(
                        "UNAVAILABLE",
                        "STS could not be asked for the credentials of the web identity",
                    ),
                    Same,
                ),
                (
                    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI=",
                    "",
                    "{}",
                    Key("ASIAINST"),
                    Differs,
                ),
                (
                    "AWS_CONTAINER_CREDENTIALS_FULL_URI=",
                    "",
                    "{}",
                    Key("ASIAINST"),
                    Differs,
                ),
                (
                    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI=no-slash",
                    "",
                    "{}",
                    Error(
                        "CREDENTIALS",
                        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI is not a URL",
                    ),
                    Same,
                ),
                (
                    "AWS_CONTAINER_CREDENTIALS_FULL_URI=nonsense",
                    "",
                    "{}",
                    Error(
                        "CREDENTIALS",
                        "AWS_CONTAINER_CREDENTIALS_FULL_URI is not a URL",
                    ),
                    Same,
                ),
                (
                    "AWS_CONTAINER_CREDENTIALS_FULL_URI=http://192.0.2.1/x",
                    "",
                    "{}",
                    Error("CREDENTIALS", "neither this machine's nor an agent's"),
                    Same,
                ),
                (
                    "AWS_CONTAINER_CREDENTIALS_FULL_URI={imds}/container-credentials\nAWS_CONTAINER_AUTHORIZATION_TOKEN={authorization}",
                    "",
                    "{}",
                    Key("ASIATASK"),
                    Same,
                ),
                (
                    "AWS_CONTAINER_CREDENTIALS_FULL_URI={imds}/container-credentials",
                    "",
                    "{}",
                    Error("CREDENTIALS", "answered HTTP 401"),
                    Same,
                ),
                (
                    "AWS_CONTAINER_CREDENTIALS_FULL_URI={imds}/container-credentials\nAWS_CONTAINER_AUTHORIZATION_TOKEN=x␤",
                    "",
                    "{}",
                    Error("CREDENTIALS", "the authorization token"),
                    Same,
                ),
                (
                    "AWS_CONTAINER_CREDENTIALS_FULL_URI={imds}/container-credentials\nAWS_CONTAINER_AUTHORIZATION_TOKEN_FILE={dir}/authorization\nAWS_CONTAINER_AUTHORIZATION_TOKEN=another",
                    "",
                    "{}",
                    Key("ASIATASK"),
                    Same,
                ),
                (
                    "AWS_CONTAINER_CREDENTIALS_FULL_URI={imds}/container-credentials\nAWS_CONTAINER_AUTHORIZATION_TOKEN_FILE={dir}/authorization-line",
                    "",
                    "{}",
                    Error(
                        "CREDENTIALS",
                        "holds a character that no HTTP header may hold",
                    ),
                    Same,
                ),
                (
                    "AWS_CONTAINER_CREDENTIALS_FULL_URI={imds}/container-credentials\nAWS_CONTAINER_AUTHORIZATION_TOKEN_FILE={dir}/empty",
                    "",
                    "{}",
                    Error("CREDENTIALS", "answered HTTP 401"),
                    Same,
                ),
                (
                    "AWS_CONTAINER_CREDENTIALS_FULL_URI={imds}/container-credentials\nAWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=/nowhere",
                    "",
                    "{}",
                    Error("CREDENTIALS", "the file with the authorization token"),
                    Same,
                ),
                (
                    "AWS_CONTAINER_CREDENTIALS_FULL_URI={imds}/container-credentials\nAWS_CONTAINER_AUTHORIZATION_TOKEN_FILE={dir}",
                    "",
                    "{}",
                    Error("CREDENTIALS", "the file with the authorization token"),
                    Same,
                ),
                (
                    "AWS_CONTAINER_CREDENTIALS_FULL_URI={nobody}/x",
                    "",
                    "{}",
                    Error(
                        "UNAVAILABLE",
                        "the container's credentials agent (AWS_CONTAINER_CREDENTIALS_FULL_URI) could not be asked",
                    ),
                    Same,
                ),
                (
                    "AWS_EC2_METADATA_DISABLED=true",
                    "",
                    "{}",
                    Error("CREDENTIALS", "AWS_EC2_METADATA_DISABLED"),
                    Same,
                ),
                (
                    "AWS_EC2_METADATA_DISABLED=perhaps",
                    "",
                    "{}",
                    Error("INVALID_JOB", "AWS_EC2_METADATA_DISABLED is 'perhaps'"),
                    Differs,
                ),
                (
                    "AWS_EC2_METADATA_SERVICE_ENDPOINT=nonsense",
                    "",
                    "{}",
                    Error("INVALID_JOB", "AWS_EC2_METADATA_SERVICE_ENDPOINT"),
                    Same,
                ),
                (
                    "AWS_EC2_METADATA_SERVICE_ENDPOINT=\nAWS_EC2_METADATA_SERVICE_ENDPOINT_MODE=IPv5",
                    "",
                    "{}",
                    Error(
                        "INVALID_JOB",
                        "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE is 'IPv5'",
                    ),
                    Same,
                ),
                (
                    "AWS_EC2_METADATA_SERVICE_ENDPOINT={nobody}",
                    "",
                    "{}",
                    Error("UNAVAILABLE", "metadata service could not be asked"),
                    Same,
                ),
            ],
        ),
        (
            "Numbers and modes",
            vec![
                (
                    "{keys}\nAWS_MAX_ATTEMPTS=many",
                    "",
                    "{}",
                    Error("INVALID_JOB", "AWS_MAX_ATTEMPTS is 'many'"),
                    Differs,
                ),
                (
                    "{keys}\nAWS_MAX_ATTEMPTS=0",
                    "",
                    "{}",
                    Error("INVALID_JOB", "AWS_MAX_ATTEMPTS is '0'"),
                    Differs,
                ),
                (
                    "{keys}\nAWS_RETRY_MODE=bold",
                    "",
                    "{}",
                    Error("INVALID_JOB", "AWS_RETRY_MODE is 'bold'"),
                    Same,
                ),
                (
                    "{keys}\nAWS_RETRY_MODE=legacy\nAWS_MAX_ATTEMPTS=",
                    "",
                    "{}",
                    Key("AKIDENV"),
                    Same,
                ),
                (
                    "AWS_METADATA_SERVICE_TIMEOUT=soon",
                    "",
                    "{}",
                    Error("INVALID_JOB", "AWS_METADATA_SERVICE_TIMEOUT"),
                    Same,
                ),
                (
                    "AWS_METADATA_SERVICE_NUM_ATTEMPTS=x",
                    "",
                    "{}",
                    Error("INVALID_JOB", "AWS_METADATA_SERVICE_NUM_ATTEMPTS"),
                    Same,
                ),
                (
                    "{keys}\nAWS_CA_BUNDLE=/nowhere",
                    "",
                    "{}",
                    Error("INVALID_JOB", "'/nowhere' (AWS_CA_BUNDLE) cannot be read"),
                    Differs,
                ),
                ("{keys}\nAWS_CA_BUNDLE=", "", "{}", Key("AKIDENV"), Differs),
                (
                    "{keys}\nAWS_EXECUTION_ENV=a␤b",
                    "",
                    "{}",
                    Error("INVALID_JOB", "AWS_EXECUTION_ENV"),
                    Differs,
                ),
            ],
        ),
        (
            "Proxies",
            vec![
                (
                    "{keys}\nHTTP_PROXY={proxy} ",
                    "",
                    "{}",
                    Error("INVALID_JOB", "HTTP_PROXY holds a blank"),
                    Differs,
                ),
                (
                    "{keys}\nHTTP_PROXY=\"{proxy}\"",
                    "",
                    "{}",
                    Error("INVALID_JOB", "HTTP_PROXY holds a blank, a quote"),
                    Same,
                ),
                (
                    "{keys}\nHTTP_PROXY=http://bob:a b@127.0.0.1:1",
                    "",
                    "{}",
                    Error("INVALID_JOB", "HTTP_PROXY"),
                    Same,
                ),
                (
                    "{keys}\nHTTP_PROXY=http://",
                    "",
                    "{}",
                    Error("INVALID_JOB", "HTTP_PROXY is not a proxy's URL"),
                    Same,
                ),
                (
                    "{keys}\nHTTPS_PROXY=socks5://bob:pw@h:1",
                    "",
                    "{}",
                    Error("INVALID_JOB", "HTTPS_PROXY names the scheme socks5"),
                    Differs,
                ),
                (
                    "{keys}\nHTTP_PROXY={nobody}\nhttp_proxy={proxy}",
                    "",
                    "{}",
                    Key("AKIDENV"),
                    Same,
                ),
                (
                    "{keys}\nHTTP_PROXY={nobody}\nNO_PROXY=*",
                    "",
                    "{}",
                    Key("AKIDENV"),
                    Same,
                ),
                (
                    "{keys}\nHTTP_PROXY={nobody}\nNO_PROXY=127.0.0.1",
                    "",
                    "{}",
                    Key("AKIDENV"),
                    Same,
                ),
                (
                    "{keys}\nHTTP_PROXY={nobody}\nno_proxy=a,.0.0.1",
                    "",
                    "{}",
                    Key("AKIDENV"),
                    Same,
                ),
                (
                    "{keys}\nHTTP_PROXY={nobody}\nNO_PROXY=127.0.0.0/8",
                    "",
                    "{}",
                    Error("UNAVAILABLE", "the proxy 127.0.0.1:"),
                    Same,
                ),
                (
                    "{keys}\nHTTP_PROXY={nobody}\nNO_PROXY=localhost",
                    "",
                    "{}",
                    Error("UNAVAILABLE", "was refused"),
                    Same,
                ),
                ("{keys}\nALL_PROXY={nobody}", "", "{}", Key("AKIDENV"), Same),
                (
                    "{keys}\nHTTP_PROXY={guarded}",
                    "",
                    "{}",
                    Error("UNAVAILABLE", "asks for a user name and password"),
                    Same,
                ),
                (
                    "{keys}\nHTTP_PROXY={guarded-wrong}",
                    "",
                    "{}",
                    Error("UNAVAILABLE", "refused the user name and password"),
                    Same,
                ),
                (
                    "{keys}\nHTTP_PROXY={guarded-right}",
                    "",
                    "{}",
                    Key("AKIDENV"),
                    Same,
                ),
                (
                    "{keys}\nHTTP_PROXY={proxy}\nAWS_ENDPOINT_URL_DYNAMODB={nobody}",
                    "",
                    "{}",
                    Error("UNAVAILABLE", "answered HTTP 502 instead of 127.0.0.1:"),
                    Same,
                ),
            ],
        ),
    ]
}

fn rows() -> Vec<Row> {
    groups().into_iter().flat_map(|(_, rows)| rows).collect()
}

/// A server that answers by a function.
fn answering(answer: impl Fn(Asked) -> Answer + Send + Sync + 'static) -> Server {
    Server::start(move |call| Box::pin(std::future::ready(Some(answer(call))))).unwrap()
}

/// An instance's metadata service with this role's name, or without a role.
fn instance(role: Option<&'static str>) -> Server {
    answering(move |call| match (call.uri.path(), role) {
        ("/latest/api/token", _) => {
            Answer::new(200, "token").with_header("x-aws-ec2-metadata-token-ttl-seconds", "21600")
        }
        (_, Some(role)) => Answer::new(200, role),
        _ => Answer::new(404, ""),
    })
}

/// What the rows name, under way.
struct Around {
    folder: tempfile::TempDir,
    dynamodb: Faults,
    names: Vec<(&'static str, String)>,
    _engines: ([Sts; 3], Metadata, [Proxy; 2], Refused, [Server; 3]),
}

impl Around {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &[u8]| fs::write(folder.path().join(name), text).unwrap();
        file("token", b"eyJhbGciOiJSUzI1NiJ9.c2lnbmF0dXJl");
        let utf16: Vec<u8> = "\u{feff}[default]\n"
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        file("utf16", &utf16);
        file("authorization", CONTAINER_AUTHORIZATION.as_bytes());
        file(
            "authorization-line",
            format!("{CONTAINER_AUTHORIZATION}\n").as_bytes(),
        );
        file("empty", b"");
        file("half.json", br#"{"Version": 1, "AccessKeyId": "AKIDP"}"#);
        file("expired.json", br#"{"Version": 1, "AccessKeyId": "AKIDP", "SecretAccessKey": "s", "SessionToken": "t", "Expiration": "2020-01-01T00:00:00Z"}"#);
        let logins = folder.path().join(".aws/sso/cache");
        fs::create_dir_all(&logins).unwrap();
        let login = |of: &str, until: &str| {
            let text = json!({"accessToken": "SsoAccessToken", "expiresAt": until, "region": "us-east-1", "startUrl": "https://login.example/start"});
            fs::write(logins.join(format!("{of}.json")), text.to_string()).unwrap();
        };
        // The names are the SHA-1 of the session's name and of the start URL.
        login(
            "ee0bfd2552fbd840c02cc48b6e823320543c450f",
            "2020-01-01T00:00:00Z",
        );
        login(
            "8fee3377e8dba90b93a06d5846d4efed36b41855",
            "2100-01-01T00:00:00Z",
        );
        let (dynamodb, sts) = (dynamodb(), Sts::start(Script::default()).unwrap());
        let imds = Metadata::start(Duration::from_secs(3600), "eu-west-1").unwrap();
        let proxy = Proxy::start(Rules::default()).unwrap();
        let guarded = Proxy::start(Rules {
            credentials: Some("bob:p@ss".into()),
            ..Rules::default()
        })
        .unwrap();
        let nobody = Refused::start().unwrap();
        let sts_that = |after| {
            Sts::start(Script {
                after,
                ..Script::default()
            })
            .unwrap()
        };
        let (denying, refusing) = (
            sts_that(Outcome::Refuse),
            sts_that(Outcome::InvalidIdentityToken),
        );
        let (bare, odd) = (instance(None), instance(Some("a role\nhere")));
        let sso = answering(|_| {
            let role = json!({"accessKeyId": "ASIASSO", "secretAccessKey": "s", "sessionToken": "t", "expiration": 4_102_444_800_000_u64});
            Answer::new(200, json!({"roleCredentials": role}).to_string())
        });
        let names = vec![
            ("{keys}", KEYS.to_owned()),
            ("{dir}", folder.path().to_str().unwrap().to_owned()),
            ("{role}", ROLE.to_owned()),
            ("{dynamodb}", dynamodb.url()),
            ("{sts}", sts.url()),
            ("{imds}", imds.url()),
            ("{proxy}", proxy.url()),
            ("{guarded}", guarded.url()),
            ("{guarded-wrong}", guarded.url_with("bob:wrong")),
            ("{guarded-right}", guarded.url_with("bob:p@ss")),
            ("{nobody}", nobody.url()),
            ("{sts-denying}", denying.url()),
            ("{sts-refusing}", refusing.url()),
            ("{imds-bare}", bare.url()),
            ("{imds-odd}", odd.url()),
            ("{sso}", sso.url()),
            ("{authorization}", CONTAINER_AUTHORIZATION.to_owned()),
        ];
        Self {
            folder,
            dynamodb,
            names,
            _engines: (
                [sts, denying, refusing],
                imds,
                [proxy, guarded],
                nobody,
                [bare, odd, sso],
            ),
        }
    }

    /// A message without what differs from run to run.
    fn without_ports(&self, text: &str) -> String {
        let text = text.replace(self.folder.path().to_str().unwrap(), "/home/heimdall");
        let text = harness_tests::without_ports(&text);
        let mut parts = text.split("/row-");
        let first = parts.next().unwrap_or_default().to_owned();
        parts.fold(first, |text, part| {
            text + part.trim_start_matches(|c: char| c.is_ascii_digit())
        })
    }

    fn filled(&self, text: &str) -> String {
        let names = self.names.iter();
        names.fold(text.to_owned(), |text, (name, value)| {
            text.replace(name, value)
        })
    }

    /// A row's variables over those that all rows have; each row has a config file of its own.
    fn variables(&self, n: usize, (variables, config, ..): &Row) -> BTreeMap<String, String> {
        let path = self.folder.path().join(format!("row-{n}"));
        fs::create_dir_all(&path).unwrap();
        fs::write(path.join("config"), self.filled(config)).unwrap();
        let all = self.filled(
            "HOME={dir}/home\nAWS_EC2_METADATA_DISABLED=false\nAWS_EC2_METADATA_SERVICE_ENDPOINT={imds}\nAWS_ENDPOINT_URL_DYNAMODB={dynamodb}\n\
             AWS_REGION=us-east-1\nAWS_DEFAULT_REGION=us-east-1",
        );
        let row = self.filled(variables);
        let mut named: BTreeMap<String, String> = all
            .split('\n')
            .chain(row.split('\n'))
            .filter_map(|line| line.split_once('='))
            .map(|(name, value)| (name.to_owned(), value.replace('␤', "\n")))
            .collect();
        named.insert(
            "AWS_CONFIG_FILE".into(),
            path.join("config").to_str().unwrap().into(),
        );
        named
    }
}

/// Checks one row; the access key of the request that it made is its own, since rows of one worker follow one another.
fn check(around: &Around, dynamodb: &Faults, n: usize, row: &Row) -> Result<Value, String> {
    let mut variables = around.variables(n, row);
    for value in variables.values_mut() {
        *value = value.replace(&around.dynamodb.url(), &dynamodb.url());
    }
    let config = Path::new(&variables["AWS_CONFIG_FILE"]).to_owned();
    let text = fs::read_to_string(&config).unwrap();
    fs::write(
        &config,
        text.replace(&around.dynamodb.url(), &dynamodb.url()),
    )
    .unwrap();
    let context: Value = serde_json::from_str(&around.filled(row.2)).unwrap();
    let job = job_on(&context, &json!({"query": "SELECT * FROM t"}));
    let pairs: Vec<(&str, &str)> = variables
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let before = dynamodb.requests();
    let outcome = child::run(&pairs, &[Call::Job(job)]);
    let answer = &outcome.answers[0];
    let sent = dynamodb.seen().split_off(before);
    let told = format!("{:?} {:?} {}: {answer}", row.0, row.1, row.2);
    let fits = match row.3 {
        Key(key) => {
            answer["data"] == json!([[0]])
                && sent.len() == 1
                && sent[0]
                    .call
                    .access_key()
                    .unwrap_or_default()
                    .starts_with(key)
        }
        Error(code, words) => {
            answer["error"]["code"] == code
                && answer["error"]["message"]
                    .as_str()
                    .unwrap_or_default()
                    .contains(words)
                && sent.is_empty()
        }
    };
    let everything = format!("{outcome:?}");
    let secrets = [
        "AKIDENV",
        "AKIDP",
        "ASIASSO",
        "SsoAccessToken",
        "secret@",
        "p@ss",
        "bob:",
        "AB\\nCD",
    ];
    let seen = secrets.iter().find(|secret| everything.contains(**secret));
    match (fits, seen) {
        (true, None) => Ok(answer.clone()),
        (false, _) => Err(told),
        (true, Some(secret)) => Err(format!("{secret} is seen: {everything}")),
    }
}

/// The exact text that a user sees, kept true here; `BLESS=1` writes `docs/CREDENTIALS.md` anew.
#[test]
fn every_setting_gives_what_its_row_says_whatever_role_the_instance_has() {
    let around = Around::start();
    let rows = rows();
    let next = Mutex::new((0..rows.len()).collect::<VecDeque<_>>());
    let answers = Mutex::new(vec![Value::Null; rows.len()]);
    let wrong = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let dynamodb = dynamodb();
                while let Some(n) = { next.lock().unwrap().pop_front() } {
                    match check(&around, &dynamodb, n, &rows[n]) {
                        Ok(answer) => answers.lock().unwrap()[n] = answer,
                        Err(told) => wrong.lock().unwrap().push(told),
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(
        wrong.is_empty(),
        "{} of {}:\n{}",
        wrong.len(),
        rows.len(),
        wrong.join("\n")
    );
    page::compare(&page::render(
        &groups(),
        &answers.into_inner().unwrap(),
        &around,
    ));
}

#[test]
fn boto3_does_the_same_but_for_the_rows_that_say_otherwise() {
    let python = match moto::python() {
        Ok(python) => python,
        Err(skip) => return skip_or_fail(&skip),
    };
    let around = Around::start();
    let rows = rows();
    let rows: Vec<(usize, &Row)> = rows
        .iter()
        .enumerate()
        .filter(|(_, row)| row.4 == Same)
        .collect();
    let cases: Vec<BTreeMap<String, String>> = rows
        .iter()
        .map(|(n, row)| {
            let mut variables = around.variables(*n, row);
            variables.insert("PATH".into(), std::env::var("PATH").unwrap_or_default());
            variables
        })
        .collect();
    let mut child = Command::new(python)
        .args(["-B", "python/identity.py"])
        // botocore looks for logins below the home that it was imported with.
        .env("HOME", around.folder.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    input
        .write_all(json!(cases).to_string().as_bytes())
        .unwrap();
    drop(input);
    let output = child.wait_with_output().unwrap();
    let told: Vec<String> = serde_json::from_slice(&output.stdout).unwrap();
    let wrong: Vec<String> = rows
        .iter()
        .zip(&told)
        .filter(|((_, row), told)| matches!(row.3, Key(_)) != (told.as_str() == "rows"))
        .map(|((_, row), told)| format!("{:?} {:?}: boto3 gives {told}", row.0, row.1))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
