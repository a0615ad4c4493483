use proptest::prelude::*;
use rstest::rstest;
use serde_json::{Value, json};

use super::*;

const VERSION: &str = "git-0123456789abcdef0123456789abcdef01234567";

fn job() -> Value {
    json!({
        "action": "test_solution", "id": "42", "track_slug": "ruby", "exercise_slug": "two-fer",
        "s3_uri": "s3://submissions/42", "container_version": VERSION,
    })
}

fn with(field: &str, value: &Value) -> Value {
    let mut body = job();
    body[field] = value.clone();
    body
}

fn outcome(body: &[u8]) -> Result<Request, Refusal> {
    Shape::read(body).map_err(|(refusal, _)| refusal)?.check()
}

#[test]
fn job_is_parsed() {
    let mut body = with("execution_timeout", &json!(7));
    body["deadline_ms"] = json!(1500);
    body["fresh"] = json!(true);
    body["unknown"] = json!({"deep": [1, 2, 3]});
    let Request::Job(job) = outcome(body.to_string().as_bytes()).unwrap() else { panic!("not a job") };
    assert_eq!(job.tooling.channel, Channel::TestRunners);
    assert_eq!(job.execution_timeout, Some(Duration::from_secs(7)));
    assert_eq!(job.deadline, Some(Duration::from_millis(1500)));
    assert!(job.fresh);
}

#[rstest]
#[case(b"", Reason::NotJson, "start with {")]
#[case(b"[]", Reason::NotJson, "start with {")]
#[case(b"5", Reason::NotJson, "start with {")]
#[case(b"null", Reason::NotJson, "start with {")]
#[case(b"{\"action\": \"a\xff\"}", Reason::NotJson, "not UTF-8 at byte 13")]
#[case(b"{} trailing", Reason::NotJson, "trailing characters")]
#[case(b"{}", Reason::MissingFields, "action")]
#[case(b"{\"action\": 5}", Reason::BadField, "action must be text")]
#[case(b"{\"action\": \"dance\"}", Reason::UnknownAction, "dance")]
#[case(
    b"{\"action\": \"represent\", \"id\": \"1\"}",
    Reason::MissingFields,
    "track_slug, exercise_slug, s3_uri"
)]
#[case(b"{\"action\": \"configure_worker\", \"channel\": \"x\"}", Reason::BadField, "channel must be")]
fn malformed_requests(#[case] body: &[u8], #[case] reason: Reason, #[case] names: &str) {
    let refusal = outcome(body).unwrap_err();
    assert_eq!(refusal.reason, reason, "{}", refusal.message);
    assert!(refusal.message.contains(names), "{}", refusal.message);
}

#[rstest]
#[case("track_slug", json!("../.."), Reason::BadSlug)]
#[case("track_slug", json!(5), Reason::BadField)]
#[case("exercise_slug", json!("--help"), Reason::BadSlug)]
#[case("exercise_slug", json!("a\u{0}b"), Reason::BadSlug)]
#[case("id", json!("x/y"), Reason::BadId)]
#[case("id", json!(["x"]), Reason::BadField)]
#[case("id", json!(null), Reason::MissingFields)]
#[case("s3_uri", json!("http://10.0.0.1/"), Reason::BadUri)]
#[case("container_version", json!("latest"), Reason::BadVersion)]
#[case("execution_timeout", json!(0), Reason::BadTimeout)]
#[case("execution_timeout", json!(-1), Reason::BadTimeout)]
#[case("execution_timeout", json!(1.5), Reason::BadTimeout)]
#[case("execution_timeout", json!(1e9), Reason::BadTimeout)]
#[case("execution_timeout", json!("5; rm -rf /"), Reason::BadTimeout)]
#[case("deadline_ms", json!("soon"), Reason::BadTimeout)]
#[case("fresh", json!("yes"), Reason::BadField)]
fn bad_values(#[case] field: &str, #[case] value: Value, #[case] reason: Reason) {
    let refusal = outcome(with(field, &value).to_string().as_bytes()).unwrap_err();
    assert_eq!(refusal.reason, reason, "{}", refusal.message);
}

#[test]
fn refusal_has_the_id() {
    let body = json!({"action": "dance", "id": "42"}).to_string();
    assert_eq!(Shape::read(body.as_bytes()).unwrap_err().1.as_deref(), Some("42"));
}

#[test]
fn long_id_is_not_echoed() {
    let body = |id: &str| json!({"action": "current_config", "id": id}).to_string();
    assert_eq!(Shape::read(body(&"7".repeat(128)).as_bytes()).unwrap().id().map(str::len), Some(128));
    let long = body(&"7".repeat(129));
    let (refusal, id) = Shape::read(long.as_bytes()).unwrap_err();
    assert_eq!((refusal.reason, id), (Reason::BadId, None));
}

#[test]
fn deep_nesting_is_refused() {
    let deep =
        format!("{{\"x\": {}{}, \"action\": \"current_config\"}}", "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(outcome(deep.as_bytes()), Ok(Request::CurrentConfig));
    let deep = format!("{{\"action\": {}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(outcome(deep.as_bytes()).unwrap_err().reason, Reason::BadField);
}

#[rstest]
#[case("master", true)]
#[case("v1.2/fix-3", true)]
#[case("--upload-pack=x", false)]
#[case("a..b", false)]
#[case("a b", false)]
#[case("a/", false)]
#[case("a/.b", false)]
#[case("a.lock", false)]
#[case("a.lock/b", false)]
#[case("a./b", false)]
#[case("a.locks/b.c", true)]
fn git_references(#[case] reference: &str, #[case] valid: bool) {
    let body = json!({
        "action": "build_container", "channel": "test_runners", "track_slug": "ruby", "git_reference": reference,
    });
    assert_eq!(outcome(body.to_string().as_bytes()).is_ok(), valid);
}

#[test]
fn spaces_and_escapes_are_accepted() {
    let plain = job().to_string();
    let spaced = plain.replace(':', " : ").replace(',', " , ").replace("s3 : ", "s3:");
    let lines = format!("\n{}", plain.replace(',', ",\n"));
    let escaped = plain.replace("two-fer", "two\\u002dfer");
    for body in [spaced, lines, escaped] {
        assert_eq!(outcome(body.as_bytes()), outcome(plain.as_bytes()), "{body}");
    }
}

proptest! {
    #[test]
    fn any_bytes_parse_or_fail(body: Vec<u8>) {
        let _ = outcome(&body);
    }

    #[test]
    fn any_text_in_any_field_parses_or_fails(field in "[a-z_]{2,18}", text: String) {
        let _ = outcome(with(&field, &json!(text)).to_string().as_bytes());
    }
}
