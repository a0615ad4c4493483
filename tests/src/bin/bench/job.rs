//! The request of the throughput runs, some 600 bytes long, and the check of its answer.

/// The version that the echo workers report as ready.
pub(crate) const VERSION: &str = "git-0123456789abcdef0123456789abcdef01234567";
/// An arbitrary digest; nothing is pulled.
pub(crate) const DIGEST: &str = "sha256:00000000000000000000000000000000000000000000000000000000000000aa";
/// The response of an echo worker.
pub(crate) const RESPONSE: &str = r#"{"version":2,"status":"pass","message":null,"tests":[{"name":"one for you","status":"pass","test_code":"assert_equal two_fer, 'One for you, one for me.'"},{"name":"a name given","status":"pass","test_code":"assert_equal two_fer('Alice'), 'One for Alice, one for me.'"},{"name":"another name given","status":"pass","test_code":"assert_equal two_fer('Bob'), 'One for Bob, one for me.'"}]}"#;

/// Returns request number `sequence` of a run.
pub(crate) fn request(prefix: &str, sequence: usize) -> String {
    let id = format!("{prefix}-{sequence}");
    let padding = "x".repeat(300);
    format!(
        r#"{{"action":"test_solution","id":"{id}","track_slug":"ruby","exercise_slug":"two-fer","s3_uri":"s3://submissions/production/{id}","container_version":"{VERSION}","execution_timeout":20,"note":"{padding}"}}"#
    )
}

/// Returns the number of the request that `body` answers. The answer is a 200 of the router or, behind a proxy, the
/// request itself.
pub(crate) fn answered_sequence(body: &[u8]) -> Result<usize, String> {
    let text = std::str::from_utf8(body).map_err(|e| e.to_string())?;
    let bad = || format!("not the answer to a request of this run: {text:.300}");
    if !text.contains(r#""status_code":200"#) && !text.starts_with(r#"{"action""#) {
        return Err(bad());
    }
    let after = text.rfind(r#""id":""#).map(|at| &text[at + 6..]).ok_or_else(bad)?;
    let id = after.split('"').next().ok_or_else(bad)?;
    id.rsplit('-').next().and_then(|n| n.parse().ok()).ok_or_else(bad)
}
